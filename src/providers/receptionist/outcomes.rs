//! What the tools asked for, and their outcomes, change in what we know.

use serde_json::Value;

use super::{
    desk::{self, Appointment, Refusal},
    known::{Known, News, Search, Wanted},
    understand::Intent,
};
use crate::{
    booking::{phone::Phone, plate::Plate, spoken::TimeOfDay},
    call::{ToolAsk, ToolKind},
};

impl Known<'_> {
    /// A tool that was asked for, with its outcome if it has one.
    pub(super) fn tool(&mut self, tool: &ToolAsk, outcome: Option<&str>) {
        self.tools_asked += 1;
        let arguments: Value = serde_json::from_str(&tool.arguments).unwrap_or(Value::Null);
        self.read_arguments(&tool.name, &arguments);
        let Some(content) = outcome else {
            let kind = self.ask.tools.iter().find(|spec| spec.name == tool.name).map(|spec| spec.kind);
            match kind {
                Some(ToolKind::Write | ToolKind::Call) => self.writes_pending += 1,
                Some(ToolKind::Read) | None => self.reads_pending += 1,
            }
            return;
        };
        let result = desk::read(content);
        match tool.name.as_str() {
            "find_slots" => match result {
                Ok(value) => {
                    let reason = desk::text(&value, "say");
                    self.search = Some(Search { arguments, slots: Ok(desk::slots(&value)), reason });
                    self.unoffered = true;
                    if matches!(self.wanted.time, Some(TimeOfDay::Exact { .. })) {
                        self.pick(None);
                    }
                }
                Err(refusal) if matches!(refusal.error.as_str(), "unavailable" | "bad_arguments") => {
                    self.search = Some(Search { arguments, slots: Err(()), reason: None });
                }
                Err(refusal) => self.refused(refusal),
            },
            "book_appointment" => match result {
                Ok(value) => self.made(&value, &arguments),
                Err(refusal) => self.refused(refusal),
            },
            "move_appointment" => match result {
                Ok(value) => {
                    let start = desk::start(&value).or_else(|| desk::start(&arguments));
                    for booked in &mut self.booked {
                        if desk::text(&arguments, "id").is_some_and(|id| id == booked.id) {
                            booked.start = start;
                        }
                    }
                    self.done();
                    self.news.push(News::Moved(start));
                }
                Err(refusal) => self.refused(refusal),
            },
            "cancel_appointment" => match result {
                Ok(_) => {
                    self.booked.retain(|booked| desk::text(&arguments, "id").is_none_or(|id| id != booked.id));
                    self.done();
                    self.news.push(News::Cancelled);
                }
                Err(refusal) => self.refused(refusal),
            },
            "find_appointments" => match result {
                Ok(value) => self.found = Some((arguments, desk::appointments(&value))),
                Err(refusal) if refusal.error == "not_found" => self.found = Some((arguments, Vec::new())),
                Err(refusal) => self.refused(refusal),
            },
            "take_message" => {
                self.done();
                self.news.push(if result.is_ok() { News::MessageTaken } else { News::Unavailable });
            }
            "transfer_to_human" => match result {
                Ok(_) => self.over = true,
                Err(_) => {
                    self.done();
                    self.news.push(News::NoHuman);
                }
            },
            "end_call" => self.over = true,
            _ => {}
        }
    }

    /// What a model knew when it asked: it may have understood the caller better than we do.
    fn read_arguments(&mut self, tool: &str, arguments: &Value) {
        if !matches!(tool, "find_slots" | "book_appointment") {
            return;
        }
        if self.wants.is_none() && self.booked.is_empty() {
            self.wants = Some(Intent::Book);
        }
        if let Some(service) = desk::text(arguments, "service").filter(|_| self.wants == Some(Intent::Book)) {
            self.service = Some(service);
        }
        self.name = desk::text(arguments, "name").or(self.name.take());
        self.plate = desk::text(arguments, "plate").and_then(|text| Plate::parse(&text).ok()).or(self.plate.take());
        self.phone = desk::text(arguments, "phone").and_then(|text| Phone::parse(&text).ok()).or(self.phone.take());
    }

    /// An appointment was made.
    fn made(&mut self, value: &Value, arguments: &Value) {
        let start = desk::start(value).or_else(|| desk::start(arguments));
        let service = desk::text(arguments, "service").unwrap_or_default();
        let made = desk::appointment(value).unwrap_or(Appointment {
            id: String::new(),
            service: String::new(),
            start: None,
            say: String::new(),
        });
        let made = Appointment { start, service, ..made };
        self.done();
        self.booked.push(made.clone());
        self.news.push(News::Booked(made));
    }

    /// A tool refused: forget what was wrong, keep what was offered instead.
    fn refused(&mut self, refusal: Refusal) {
        self.confirmed = false;
        match refusal.error.as_str() {
            "bad_plate" => self.plate = None,
            "bad_phone" => self.phone = None,
            "unknown_service" => (self.service, self.search, self.chosen) = (None, None, None),
            "not_found" | "ambiguous" => (self.found, self.target) = (None, None),
            "unavailable" | "bad_arguments" => {
                self.done();
                self.news.push(News::Unavailable);
                return;
            }
            _ => {
                self.chosen = None;
                if refusal.alternatives.is_empty() {
                    (self.wanted, self.search, self.rejected) = (Wanted::default(), None, true);
                } else {
                    let arguments = self.search_arguments();
                    self.search = Some(Search { arguments, slots: Ok(refusal.alternatives.clone()), reason: None });
                    self.unoffered = true;
                }
            }
        }
        self.news.push(News::Refused(refusal));
    }
}
