//! The language of gates: `p99.own_ms > 25 or refused > 0 and turns >= 100`.
//!
//! ```text
//! any   = all ("or" all)*
//! all   = one ("and" one)*
//! one   = "(" any ")" | value op number
//! value = counter | stat "." measure
//! op    = ">" | ">=" | "<" | "<=" | "==" | "!="
//! ```

use super::{
    distribution::{STATS, Stat},
    gate::GateError,
    measures::{COUNTERS, spreads},
};

/// The longest expression.
const CHARS_MAX: usize = 2_000;
/// The most parentheses in one another.
const DEPTH_MAX: usize = 32;

/// A read expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expression {
    /// One of them holds.
    Any(Vec<Self>),
    /// All of them hold.
    All(Vec<Self>),
    /// This holds.
    Compare(Value, Operator, f64),
}

/// What is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    /// The name of a measure or a counter.
    pub(super) name: String,
    /// The figure of a measure.
    pub(super) stat: Option<Stat>,
}

/// How.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    More,
    MoreOrSame,
    Less,
    LessOrSame,
    Same,
    Other,
}

const OPERATORS: [(&str, Operator); 6] = [
    (">=", Operator::MoreOrSame),
    ("<=", Operator::LessOrSame),
    ("==", Operator::Same),
    ("!=", Operator::Other),
    (">", Operator::More),
    ("<", Operator::Less),
];

impl Operator {
    /// Whether it holds.
    pub(super) fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::More => left > right,
            Self::MoreOrSame => left >= right,
            Self::Less => left < right,
            Self::LessOrSame => left <= right,
            Self::Same => (left - right).abs() < f64::EPSILON,
            Self::Other => (left - right).abs() >= f64::EPSILON,
        }
    }
}

impl Expression {
    /// Reads one.
    pub(super) fn parse(text: &str) -> Result<Self, GateError> {
        if text.chars().count() > CHARS_MAX {
            return Err(GateError::Long { max: CHARS_MAX });
        }
        let mut words = Words { rest: text };
        let read = any(&mut words, 0)?;
        match words.next() {
            None => Ok(read),
            Some(word) => Err(GateError::Word { word: word.into(), wanted: "`and`, `or` or the end".into() }),
        }
    }
}

fn any(words: &mut Words<'_>, depth: usize) -> Result<Expression, GateError> {
    list(words, "or", |words| list(words, "and", |words| one(words, depth), Expression::All), Expression::Any)
}

/// A list of expressions with a word between them.
fn list<'a>(
    words: &mut Words<'a>,
    between: &str,
    mut read: impl FnMut(&mut Words<'a>) -> Result<Expression, GateError>,
    join: impl Fn(Vec<Expression>) -> Expression,
) -> Result<Expression, GateError> {
    let first = read(words)?;
    let mut all = vec![first];
    while words.peek() == Some(between) {
        words.next();
        all.push(read(words)?);
    }
    Ok(if all.len() == 1 { all.remove(0) } else { join(all) })
}

fn one(words: &mut Words<'_>, depth: usize) -> Result<Expression, GateError> {
    let Some(word) = words.next() else {
        return Err(GateError::End { wanted: "a value, such as p99.own_ms".into() });
    };
    if word == "(" {
        if depth == DEPTH_MAX {
            return Err(GateError::Deep { max: DEPTH_MAX });
        }
        let inner = any(words, depth + 1)?;
        return match words.next() {
            Some(")") => Ok(inner),
            Some(word) => Err(GateError::Word { word: word.into(), wanted: "`)`".into() }),
            None => Err(GateError::End { wanted: "`)`".into() }),
        };
    }
    let value = value(word)?;
    let wanted = || OPERATORS.map(|(written, _)| written).join(" ");
    let operator = match words.next() {
        None => return Err(GateError::End { wanted: format!("one of {}", wanted()) }),
        Some(word) => match OPERATORS.iter().find(|(written, _)| *written == word) {
            Some((_, operator)) => *operator,
            None => return Err(GateError::Word { word: word.into(), wanted: format!("one of {}", wanted()) }),
        },
    };
    let number = match words.next() {
        None => return Err(GateError::End { wanted: "a number".into() }),
        Some(word) => match word.parse::<f64>() {
            Ok(number) if number.is_finite() => number,
            _ => return Err(GateError::Word { word: word.into(), wanted: "a number, such as 25 or 0.95".into() }),
        },
    };
    Ok(Expression::Compare(value, operator, number))
}

fn value(word: &str) -> Result<Value, GateError> {
    if COUNTERS.iter().any(|(name, _)| *name == word) {
        return Ok(Value { name: word.into(), stat: None });
    }
    let spreads = spreads();
    let known = |name: &str| spreads.iter().any(|it| it == name);
    let Some((stat, name)) = word.rsplit_once('.') else {
        return Err(if known(word) {
            GateError::NoFigure { name: word.into(), known: STATS.map(|(name, _)| name).join(" ") }
        } else {
            let counters: Vec<_> = COUNTERS.iter().map(|(name, _)| *name).collect();
            GateError::Value { name: word.into(), known: format!("{}; {}", spreads.join(" "), counters.join(" ")) }
        });
    };
    if !known(name) {
        return Err(GateError::Value { name: name.into(), known: spreads.join(" ") });
    }
    match STATS.iter().find(|(written, _)| *written == stat) {
        Some((_, stat)) => Ok(Value { name: name.into(), stat: Some(*stat) }),
        None => Err(GateError::Figure { stat: stat.into(), known: STATS.map(|(name, _)| name).join(" ") }),
    }
}

/// The words of an expression, one after the other.
#[derive(Clone, Copy)]
struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    fn peek(self) -> Option<&'a str> {
        let mut ahead = self;
        ahead.next()
    }

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.rest.trim_start();
        let first = rest.chars().next()?;
        let length = match first {
            '(' | ')' => 1,
            '<' | '>' | '=' | '!' => rest.find(|c| !matches!(c, '<' | '>' | '=' | '!')).unwrap_or(rest.len()),
            _ => rest.find(|c: char| c.is_whitespace() || "()<>=!".contains(c)).unwrap_or(rest.len()),
        };
        let (word, rest) = rest.split_at(length);
        self.rest = rest;
        Some(word)
    }
}
