//! The other requests about calls: which ones to list, what to change, what to delete.

use jiff::Timestamp;

use super::CallObject;
use crate::vapi::{
    Violations,
    read::{self, Reader, Wrong},
};

/// `GET /call`: which calls, newest first. (`GET /assistant` has the same words for time and number.)
#[derive(Debug, Clone, PartialEq)]
pub struct ListCalls {
    /// Only this call.
    pub id: Option<String>,
    /// Only calls of this assistant.
    pub assistant: Option<String>,
    /// Only calls of this number: there are none.
    pub number: Option<String>,
    /// The most.
    pub limit: usize,
    /// When they were created.
    pub created: Between,
    /// When they were changed last.
    pub updated: Between,
}

/// A stretch of time, open where nothing was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Between {
    after: Option<Timestamp>,
    from: Option<Timestamp>,
    before: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// Vapi's default and most.
const LIMIT: usize = 100;
const LIMIT_MAX: usize = 1_000;

impl Default for ListCalls {
    fn default() -> Self {
        let (created, updated) = (Between::default(), Between::default());
        Self { id: None, assistant: None, number: None, limit: LIMIT, created, updated }
    }
}

impl ListCalls {
    /// Reads the pairs of a query; of a name that comes twice the last one counts. Names we do not know are not looked at.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, Violations> {
        let (mut list, wrong) = (Self::default(), Wrong::default());
        for (name, value) in pairs {
            let text = || (!value.is_empty()).then(|| value.to_owned());
            match name {
                "id" => list.id = text(),
                "assistantId" => list.assistant = text(),
                "phoneNumberId" => list.number = text(),
                "limit" => match value.parse::<f64>().ok().filter(|limit| limit.fract() == 0.0) {
                    Some(limit) if (0.0..=LIMIT_MAX as f64).contains(&limit) => list.limit = limit as usize,
                    Some(limit) if limit < 0.0 => wrong.add("limit must not be less than 0".into()),
                    Some(_) => wrong.add(format!("limit must not be greater than {LIMIT_MAX}")),
                    None => wrong.add("limit must be an integer number".into()),
                },
                _ => {
                    if let Some(end) = name.strip_prefix("createdAt") {
                        list.created.read(name, end, value, &wrong);
                    } else if let Some(end) = name.strip_prefix("updatedAt") {
                        list.updated.read(name, end, value, &wrong);
                    }
                }
            }
        }
        wrong.or(list)
    }

    /// Whether a call is one of them.
    pub fn has(&self, call: &CallObject) -> bool {
        self.id.as_ref().is_none_or(|id| *id == call.id)
            && self.assistant.as_ref().is_none_or(|id| call.assistant_id.as_ref() == Some(id))
            && self.number.is_none()
            && self.created.has(call.created_at)
            && self.updated.has(call.updated_at)
    }
}

impl Between {
    fn read(&mut self, name: &str, end: &str, value: &str, wrong: &Wrong) {
        let place = match end {
            "Gt" => &mut self.after,
            "Ge" => &mut self.from,
            "Lt" => &mut self.before,
            "Le" => &mut self.until,
            _ => return,
        };
        match value.parse() {
            Ok(at) => *place = Some(at),
            Err(_) => wrong.add(format!("{name} must be a valid ISO 8601 date string")),
        }
    }

    /// Whether a moment lies in it.
    pub fn has(&self, at: Timestamp) -> bool {
        self.after.is_none_or(|after| at > after)
            && self.from.is_none_or(|from| at >= from)
            && self.before.is_none_or(|before| at < before)
            && self.until.is_none_or(|until| at <= until)
    }
}

/// `PATCH /call/{id}`: only the name may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateCall {
    /// The new name, where there is one.
    pub name: Option<String>,
}

impl UpdateCall {
    /// Reads a request.
    pub fn parse(json: &str) -> Result<Self, Violations> {
        let (body, wrong) = (read::object(json, super::CALL_BYTES_MAX)?, Wrong::default());
        let name = Reader::new(&body, "", &wrong).text("name", 0, 40).map(ToOwned::to_owned);
        wrong.or(Self { name })
    }
}

/// `DELETE /call/{id}`: that call, or the calls that are named instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteCall {
    /// Instead of the call in the path.
    pub ids: Option<Vec<String>>,
}

/// The most calls that are deleted with one request.
const IDS_MAX: usize = 1_000;

impl DeleteCall {
    /// Reads a request; a body may be missing.
    pub fn parse(json: &str) -> Result<Self, Violations> {
        if json.trim().is_empty() {
            return Ok(Self { ids: None });
        }
        let (body, wrong) = (read::object(json, super::CALL_BYTES_MAX)?, Wrong::default());
        let ids = Reader::new(&body, "", &wrong).texts("ids", IDS_MAX, 1, 100);
        wrong.or(Self { ids: ids.map(|ids| ids.into_iter().map(ToOwned::to_owned).collect()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pairs: &[(&str, &str)], expected: &[&str]) {
        let told = ListCalls::parse(pairs.iter().copied()).map_or_else(Violations::into_messages, |_| vec![]);
        assert_eq!(told, expected, "{pairs:?}");
    }

    #[test]
    fn a_query_of_the_official_client() {
        let pairs = [("assistantId", "a1"), ("limit", "10"), ("createdAtGt", "2026-01-01T00:00:00Z"), ("x", "y")];
        let list = ListCalls::parse(pairs).unwrap();
        assert_eq!((list.assistant.as_deref(), list.limit), (Some("a1"), 10));
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert!(!list.created.has(at("2026-01-01T00:00:00Z")) && list.created.has(at("2026-01-01T00:00:01Z")));
    }

    #[test]
    fn wrong_values_are_told() {
        check(&[("limit", "1000")], &[]);
        check(&[("limit", "1001")], &["limit must not be greater than 1000"]);
        check(&[("limit", "-1")], &["limit must not be less than 0"]);
        check(&[("limit", "ten")], &["limit must be an integer number"]);
        check(&[("updatedAtLe", "domani")], &["updatedAtLe must be a valid ISO 8601 date string"]);
    }

    #[test]
    fn only_a_name_may_change() {
        let update = |json: &str| UpdateCall::parse(json).map(|it| it.name);
        assert_eq!(update(r#"{"name":"n2","status":"ended"}"#), Ok(Some("n2".into())));
        assert_eq!(update(r#"{"name":null}"#), Ok(None));
        assert_eq!(update(r#"{"name":7}"#), Err(Violations::one("name must be a string")));
    }

    #[test]
    fn named_calls_are_deleted_instead() {
        let ids = |json: &str| DeleteCall::parse(json).map(|it| it.ids);
        assert_eq!(ids(""), Ok(None));
        assert_eq!(ids("{}"), Ok(None));
        assert_eq!(ids(r#"{"ids":["a","b"]}"#), Ok(Some(vec!["a".into(), "b".into()])));
        assert_eq!(ids(r#"{"ids":"a"}"#), Err(Violations::one("ids must be an array")));
    }
}
