//! A small shop for dialogues: a desk that answers the tools, and a conversation that is kept as the call keeps it.

use std::sync::Arc;

use jiff::{
    ToSpan,
    civil::{Date, DateTime, Time, date, time},
};
use pronto::{
    booking::spoken::{say_date, say_time},
    call::{Ask, Finish, LlmEvent, Message, ToolAsk, ToolKind, ToolSpec, Turn},
    language::Language,
    privacy::Pii,
    providers::receptionist::answer,
};
use serde_json::{Value, json};

/// Today in every dialogue: Thursday.
pub const TODAY: Date = date(2026, 4, 9);

/// A shop that works from 8 to 18 on weekdays, one car an hour.
pub struct Desk {
    pub booked: Vec<(String, String, DateTime, String)>,
    pub busy: Vec<DateTime>,
    pub messages: Vec<Value>,
    pub calls: Vec<(String, Value)>,
    /// The next outcomes of these tools, instead of the real ones.
    pub forced: Vec<(&'static str, Value)>,
    pub ended: bool,
    pub transferred: bool,
    language: Language,
}

impl Desk {
    fn open(&self, day: Date) -> Vec<DateTime> {
        if day.weekday().to_monday_zero_offset() > 4 {
            return Vec::new();
        }
        (8..18).map(|hour| day.at(hour, 0, 0, 0)).filter(|start| self.free(*start)).collect()
    }

    fn free(&self, start: DateTime) -> bool {
        !self.busy.contains(&start) && !self.booked.iter().any(|(_, _, at, _)| *at == start)
    }

    fn say(&self, start: DateTime) -> Value {
        let say = format!("{} {}", say_date(start.date(), self.language), say_time(start.time(), self.language));
        json!({"start": start.strftime("%Y-%m-%dT%H:%M").to_string(), "say": say})
    }

    fn slots(&self, arguments: &Value) -> Vec<DateTime> {
        let day = arguments["date"].as_str().map(|day| day.parse::<Date>().expect("a date"));
        let days = match day {
            Some(day) if !self.open(day).is_empty() => vec![day],
            Some(day) => (1..8).map(|days| day.saturating_add(days.days())).collect(),
            None => (1..8).map(|days| TODAY.saturating_add(days.days())).collect(),
        };
        let slots = days.into_iter().flat_map(|day| self.open(day));
        slots
            .filter(|slot| match arguments["part"].as_str() {
                Some("morning") => slot.hour() < 12,
                Some("afternoon") => slot.hour() >= 14,
                Some(_) => slot.hour() >= 18,
                None => true,
            })
            .take(12)
            .collect()
    }

    pub fn run(&mut self, name: &str, arguments: &Value) -> Value {
        self.calls.push((name.to_string(), arguments.clone()));
        if let Some(at) = self.forced.iter().position(|(tool, _)| *tool == name) {
            return self.forced.remove(at).1;
        }
        let start = arguments["start"].as_str().map(|start| start.parse::<DateTime>().expect("a start"));
        let find = |desk: &Self| -> Vec<usize> {
            let by_id = |id: &str| arguments["id"].as_str().is_some_and(|wanted| wanted == id);
            let by_plate = |plate: &str| arguments["plate"].as_str().is_some_and(|wanted| wanted == plate);
            let by_phone = arguments["phone"].as_str() == Some("+393331234567");
            let found = desk.booked.iter().enumerate();
            found.filter(|(_, (id, _, _, plate))| by_id(id) || by_plate(plate) || by_phone).map(|(at, _)| at).collect()
        };
        match name {
            "find_slots" => {
                let slots: Vec<Value> = self.slots(arguments).into_iter().map(|slot| self.say(slot)).collect();
                let closed =
                    arguments["date"].as_str().is_some_and(|day| self.open(day.parse().expect("a date")).is_empty());
                let mut answer = json!({"ok": true, "service": arguments["service"], "minutes": 60, "slots": slots});
                if closed {
                    answer["alternatives"] = answer["slots"].take();
                    (answer["slots"], answer["say"]) = (json!([]), json!("Quel giorno siamo chiusi."));
                }
                answer
            }
            "book_appointment" => {
                let start = start.expect("a start");
                assert!(arguments["name"].is_string() && arguments["service"].is_string(), "{arguments}");
                if !self.free(start) {
                    let other: Vec<Value> =
                        self.open(start.date()).into_iter().take(2).map(|slot| self.say(slot)).collect();
                    return json!({"ok": false, "error": "slot_taken", "say": "preso", "alternatives": other});
                }
                let id = format!("A{}", self.booked.len() + 1);
                let plate = arguments["plate"].as_str().expect("a plate").to_string();
                self.booked.push((id.clone(), arguments["service"].as_str().unwrap_or("").to_string(), start, plate));
                json!({"ok": true, "id": id, "service": arguments["service"], "start": arguments["start"], "say": "ok"})
            }
            "find_appointments" => {
                let found: Vec<Value> = find(self)
                    .into_iter()
                    .map(|at| {
                        let (id, service, start, _) = &self.booked[at];
                        let mut item = self.say(*start);
                        (item["id"], item["service"]) = (json!(id), json!(service));
                        item
                    })
                    .collect();
                json!({"ok": true, "appointments": found})
            }
            "move_appointment" => match find(self).as_slice() {
                [at] => {
                    self.booked[*at].2 = start.expect("a start");
                    json!({"ok": true, "id": self.booked[*at].0, "start": arguments["start"], "say": "ok"})
                }
                _ => json!({"ok": false, "error": "not_found", "say": "no"}),
            },
            "cancel_appointment" => match find(self).as_slice() {
                [at] => {
                    self.booked.remove(*at);
                    json!({"ok": true})
                }
                _ => json!({"ok": false, "error": "not_found", "say": "no"}),
            },
            "take_message" => {
                self.messages.push(arguments.clone());
                json!({"ok": true})
            }
            "transfer_to_human" => {
                self.transferred = true;
                json!({"ok": true})
            }
            "end_call" => {
                self.ended = true;
                json!({"ok": true})
            }
            other => panic!("no tool {other}"),
        }
    }
}

/// A conversation in progress.
pub struct Conversation {
    pub desk: Desk,
    pub messages: Vec<Message>,
    pub caller: Option<&'static str>,
    pub tools: Arc<[ToolSpec]>,
    pub language: Language,
}

impl Conversation {
    pub fn new(language: Language) -> Self {
        let greeting = match language {
            Language::Italian => "Officina Rossi, buongiorno. Sono l'assistente automatico. Come posso aiutarla?",
            Language::English => "Rossi garage, good morning. I am the automated assistant. How can I help you?",
        };
        let desk = Desk {
            booked: Vec::new(),
            busy: Vec::new(),
            messages: Vec::new(),
            calls: Vec::new(),
            forced: Vec::new(),
            ended: false,
            transferred: false,
            language,
        };
        let mut conversation =
            Self { desk, messages: Vec::new(), caller: Some("+393331234567"), tools: tools(language), language };
        conversation.agent(greeting);
        conversation
    }

    pub fn italian() -> Self {
        Self::new(Language::Italian)
    }

    pub fn english() -> Self {
        Self::new(Language::English)
    }

    /// The caller's number is withheld.
    pub fn withheld(mut self) -> Self {
        self.caller = None;
        self
    }

    pub fn agent(&mut self, text: &str) {
        self.messages.push(Message::Agent { text: text.into(), interrupted: false, estimated: false });
    }

    /// Our last sentence was cut here.
    pub fn cut(&mut self, heard: &str) {
        while matches!(self.messages.last(), Some(Message::Agent { .. })) {
            self.messages.pop();
        }
        self.messages.push(Message::Agent { text: heard.into(), interrupted: true, estimated: true });
    }

    pub fn asked(&mut self, name: &str, arguments: Value, outcome: Option<Value>) {
        let id = format!("other-{}", self.messages.len());
        let ask = ToolAsk { id: id.clone(), name: name.into(), arguments: arguments.to_string() };
        self.messages.push(Message::Asked { tools: vec![ask] });
        self.messages.push(Message::Outcome { id, content: outcome.map(|outcome| outcome.to_string()) });
    }

    pub fn heard(&mut self, text: &str) {
        self.messages.push(Message::Caller { text: text.into() });
    }

    /// The caller says something; the words of the answer, tools run in between.
    pub fn says(&mut self, text: &str) -> String {
        self.heard(text);
        self.goes_on()
    }

    pub fn ask(&self) -> Ask {
        let clock: Time = time(9, 0, 0, 0);
        Ask {
            turn: Turn(1),
            instructions: "".into(),
            messages: self.messages.clone(),
            tools: self.tools.clone(),
            now: TODAY.to_datetime(clock).in_tz("Europe/Rome").expect("a zone"),
            language: self.language,
            caller: self.caller.map(|caller| Pii::new(caller.to_string())),
        }
    }

    /// We answer.
    pub fn goes_on(&mut self) -> String {
        let mut said = String::new();
        for _ in 0..8 {
            let (mut words, mut asks) = (String::new(), Vec::new());
            let events = answer(&self.ask());
            assert_eq!(events, answer(&self.ask()), "the same ask has the same answer");
            let finish = match events.last() {
                Some(LlmEvent::Done(finish)) => *finish,
                other => panic!("ends with {other:?}"),
            };
            for event in events {
                match event {
                    LlmEvent::Words(piece) => words.push_str(&piece),
                    LlmEvent::Tool { id, name, arguments } => asks.push(ToolAsk { id, name, arguments }),
                    LlmEvent::Done(_) => {}
                }
            }
            if !words.is_empty() {
                said = [said.as_str(), words.as_str()].join(" ").trim().to_string();
                self.agent(&words);
            }
            if asks.is_empty() {
                assert_eq!(finish, Finish::Said);
                assert!(!said.is_empty() || self.desk.ended || self.desk.transferred, "the caller hears nothing");
                return said;
            }
            assert_eq!(finish, Finish::Tools);
            self.messages.push(Message::Asked { tools: asks.clone() });
            for ask in asks {
                assert!(self.tools.iter().any(|tool| tool.name == ask.name), "no tool {}", ask.name);
                let arguments: Value = serde_json::from_str(&ask.arguments).expect("JSON");
                let outcome = self.desk.run(&ask.name, &arguments);
                self.messages.push(Message::Outcome { id: ask.id, content: Some(outcome.to_string()) });
            }
            if self.desk.ended || self.desk.transferred {
                return said;
            }
        }
        panic!("tools without end: {:?}", self.desk.calls);
    }

    /// A dialogue line by line: what the caller says, and what the answer must hold (parts separated by `|`).
    pub fn runs(&mut self, lines: &[(&str, &str)]) {
        for (says, expects) in lines {
            let answer = self.says(says);
            for expected in expects.split('|') {
                assert!(
                    answer.to_lowercase().contains(&expected.to_lowercase()),
                    "{says:?} -> {answer:?}, expected {expected:?}\n{:#?}",
                    self.desk.calls
                );
            }
        }
    }

    pub fn count(&self, tool: &str) -> usize {
        self.desk.calls.iter().filter(|(name, _)| name == tool).count()
    }
}

/// The tools as the booking room describes them.
fn tools(language: Language) -> Arc<[ToolSpec]> {
    let names = match language {
        Language::Italian => json!({}),
        Language::English => {
            json!({"tagliando": ["service", "full service"], "gomme": ["tyre change", "tyres"], "revisione": ["inspection", "MOT"]})
        }
    };
    let mut service = json!({"type": "string", "enum": ["tagliando", "gomme", "revisione"]});
    match language {
        // As the booking room describes them.
        Language::Italian => {
            service["description"] = json!(
                "The service: tagliando (tagliando, controllo annuale; 60 minuti, from 79 euro); gomme (cambio gomme, \
                 pneumatici; 60 minuti); revisione (revisione; 60 minuti)."
            );
        }
        Language::English => service["x-names"] = names,
    }
    let tool = |name: &str, kind| ToolSpec {
        name: name.into(),
        description: String::new(),
        parameters: json!({"type": "object", "properties": {"service": service}}),
        kind,
    };
    [
        tool("find_slots", ToolKind::Read),
        tool("book_appointment", ToolKind::Write),
        tool("find_appointments", ToolKind::Read),
        tool("move_appointment", ToolKind::Write),
        tool("cancel_appointment", ToolKind::Write),
        tool("take_message", ToolKind::Write),
        tool("transfer_to_human", ToolKind::Call),
        tool("end_call", ToolKind::Call),
    ]
    .into()
}
