//! What we know of the conversation, read from the whole history each time.
//!
//! The history may have been made by another model: its sentences tell which question was asked, its tool calls and
//! their outcomes tell what was found and done. The last mention wins; whatever changes a booking takes back the
//! caller's yes to it.

use jiff::civil::{Date, DateTime};
use serde_json::Value;

use super::{
    desk::{self, Appointment, Refusal},
    services::Services,
    understand::{Context, Field, Heard, Intent, hear},
    words::{Question, mentions, question},
};
use crate::{
    booking::{
        phone::Phone,
        plate::Plate,
        spoken::{self, SpokenError, TimeOfDay, Utterance, words::words},
    },
    call::{Ask, Message, ToolAsk},
    language::Language,
};

/// Pieces of one dictation that are tried together.
const DICTATION_MAX: usize = 4;

/// Everything the policy needs.
#[derive(Debug)]
pub(super) struct Known<'a> {
    /// The question we answer.
    pub ask: &'a Ask,
    /// The language of the conversation.
    pub language: Language,
    /// The work the shop does.
    pub services: Services,
    /// The day it is in the shop.
    pub today: Date,
    /// What the caller wants now.
    pub wants: Option<Intent>,
    /// The id of the service wanted.
    pub service: Option<String>,
    /// The day and hour wanted.
    pub wanted: Wanted,
    /// The day said last cannot be.
    pub problem: Option<SpokenError>,
    /// The slot settled on.
    pub chosen: Option<DateTime>,
    /// The caller wanted none of the slots we offered.
    pub rejected: bool,
    /// What the calendar offered last.
    pub search: Option<Search>,
    /// The caller's name.
    pub name: Option<String>,
    /// The plate of the car.
    pub plate: Option<Plate>,
    /// The caller's number: as they said it, or as the line told it.
    pub phone: Option<Phone>,
    /// The caller does not give a number; it can be done without.
    pub no_phone: bool,
    /// The caller does not know the plate.
    pub no_plate: bool,
    /// What is to be passed on.
    pub message: Option<String>,
    /// The caller said yes to what was read back, and it has not changed since.
    pub confirmed: bool,
    /// Something is to be corrected, the caller has not said what.
    pub correcting: bool,
    /// The appointment that is moved, cancelled or asked about.
    pub target: Option<Appointment>,
    /// The day that appointment is on, as the caller said.
    pub old_date: Option<Date>,
    /// Appointments found, and by which arguments.
    pub found: Option<(Value, Vec<Appointment>)>,
    /// Appointments made in this call.
    pub booked: Vec<Appointment>,
    /// What the caller has not been told yet.
    pub news: Vec<News>,
    /// Asides of the last utterance, answered before going on.
    pub aside: Option<Aside>,
    /// The question the caller heard last.
    pub asked: Option<Question>,
    /// Utterances in a row that said nothing we understood.
    pub misses: usize,
    /// Tools that still run.
    pub pending: usize,
    /// Tools asked for in the whole call.
    pub tools_asked: usize,
    /// The call is being ended or handed over.
    pub over: bool,
    /// The caller has said something.
    pub begun: bool,
    /// We asked whether the caller is still there: a yes answers that, nothing else.
    presence: bool,
    /// What the caller said since the plate or phone was asked, for dictations in pieces.
    dictation: Vec<String>,
    /// Our last sentence; a yes to a model's offer means the day and hour it names.
    last_said: &'a str,
}

/// A day and hour, as far as they were said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Wanted {
    pub date: Option<Date>,
    pub time: Option<TimeOfDay>,
    /// The first one that is free.
    pub any_day: bool,
}

/// What a yes is a yes to: service, day and hour, slot, name, plate, number.
type Snapshot = (Option<String>, Wanted, Option<DateTime>, Option<String>, Option<Plate>, Option<Phone>);

/// A look into the calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Search {
    /// What was asked.
    pub arguments: Value,
    /// The slots, or that the calendar could not be used.
    pub slots: Result<Vec<DateTime>, ()>,
}

/// Something that happened and must be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum News {
    Booked(Appointment),
    Moved(Option<DateTime>),
    Cancelled,
    /// The appointments a caller asked about.
    Found(Vec<Appointment>),
    MessageTaken,
    Abandoned,
    NoHuman,
    Unavailable,
    Refused(Refusal),
}

/// Something said in passing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aside {
    Wait,
    Prices,
    Hours,
}

impl<'a> Known<'a> {
    /// Reads the history.
    pub fn from(ask: &'a Ask) -> Self {
        let mut known = Self {
            ask,
            language: ask.language,
            services: Services::from_tools(&ask.tools, ask.language),
            today: ask.now.date(),
            wants: None,
            service: None,
            wanted: Wanted::default(),
            problem: None,
            chosen: None,
            rejected: false,
            search: None,
            name: None,
            plate: None,
            phone: ask.caller.as_ref().and_then(|caller| Phone::parse(caller.reveal()).ok()),
            no_phone: false,
            no_plate: false,
            message: None,
            confirmed: false,
            correcting: false,
            target: None,
            old_date: None,
            found: None,
            booked: Vec::new(),
            news: Vec::new(),
            aside: None,
            asked: None,
            misses: 0,
            pending: 0,
            tools_asked: 0,
            over: false,
            begun: false,
            presence: false,
            dictation: Vec::new(),
            last_said: "",
        };
        for (at, message) in ask.messages.iter().enumerate() {
            match message {
                Message::Caller { text } => {
                    known.caller(text);
                    known.settle_target();
                }
                Message::Agent { text, interrupted, .. } => known.agent(text, *interrupted),
                Message::Asked { tools } => {
                    for tool in tools {
                        known.tool(tool, outcome(&ask.messages[at..], &tool.id));
                        known.settle_target();
                    }
                }
                Message::Outcome { .. } => {} // read with the ask it answers
                Message::Note { text } => known.note(text),
            }
        }
        known
    }

    /// Whether the model may ask for this tool.
    pub fn has_tool(&self, name: &str) -> bool {
        self.ask.tools.iter().any(|tool| tool.name == name)
    }

    /// The arguments a look into the calendar would have now.
    pub fn search_arguments(&self) -> Value {
        let mut arguments = serde_json::Map::new();
        let service = match (&self.wants, &self.target) {
            (Some(Intent::Move), Some(target)) if !target.service.is_empty() => Some(target.service.clone()),
            _ => self.service.clone(),
        };
        if let Some(service) = service {
            arguments.insert("service".into(), service.into());
        }
        if let Some(date) = self.wanted.date {
            arguments.insert("date".into(), date.to_string().into());
        }
        match self.wanted.time {
            Some(time @ TimeOfDay::Exact { .. }) => {
                let time = time.likely();
                arguments.insert("time".into(), format!("{:02}:{:02}", time.hour(), time.minute()).into());
            }
            Some(TimeOfDay::Morning) => drop(arguments.insert("part".into(), "morning".into())),
            Some(TimeOfDay::Afternoon) => drop(arguments.insert("part".into(), "afternoon".into())),
            Some(TimeOfDay::Evening) => drop(arguments.insert("part".into(), "evening".into())),
            None => {}
        }
        Value::Object(arguments)
    }

    /// A sentence of ours, as far as it was heard.
    fn agent(&mut self, text: &'a str, interrupted: bool) {
        if text.trim().is_empty() {
            return;
        }
        let phrases = self.language.phrases();
        self.presence = text.trim() == phrases.text("call.still_there");
        self.aside = None;
        if !self.news.is_empty() {
            self.tell(text, interrupted);
        }
        // A cut sentence, a filler or "are you still there" leaves the last question standing.
        if let Some(question) = question(text, self.language) {
            let same = self.asked == Some(question);
            if !same {
                self.dictation.clear();
            }
            self.asked = Some(question);
        }
        if self.wants == Some(Intent::Message)
            && !self.has_tool("take_message")
            && mentions(&words(text, self.language), self.language, "receptionist.asks_told")
        {
            self.done(); // there is no tool to pass it on: the transcript is the message
        }
        self.last_said = text;
    }

    /// The day and hour our last sentence named.
    fn named(&self) -> (Option<Date>, Option<TimeOfDay>) {
        let said = Utterance::new(self.last_said, self.language);
        let time = said.time().filter(|time| matches!(time, TimeOfDay::Exact { .. }));
        (said.date(self.today).ok().flatten(), time)
    }

    /// Takes as told what the caller heard of the news. Half a sentence tells only what it names.
    fn tell(&mut self, text: &str, interrupted: bool) {
        let said = words(text, self.language);
        let told = mentions(&said, self.language, "receptionist.asks_told");
        let time = spoken::time(text, self.language);
        let filler = ["call.filler", "call.still_there", "receptionist.pending"]
            .iter()
            .any(|key| text.trim() == self.language.phrases().text(key));
        self.news.retain(|news| match news {
            News::Booked(Appointment { start: Some(start), .. }) | News::Moved(Some(start)) => {
                let named = time.is_some_and(|time| reads(time, *start));
                !(named || (told && !interrupted))
            }
            News::Booked(_) | News::Moved(None) | News::Cancelled | News::MessageTaken => !told,
            News::Found(found) => {
                let named = found
                    .iter()
                    .filter_map(|found| found.start)
                    .any(|start| time.is_some_and(|time| reads(time, start)));
                !named && (interrupted || filler)
            }
            News::Abandoned | News::NoHuman | News::Unavailable | News::Refused(_) => interrupted || filler,
        });
    }

    /// Keys that were pressed: a phone number is the only thing callers type.
    fn note(&mut self, text: &str) {
        if let Some(phone) = spoken::phone(text, self.language) {
            self.phone = Some(phone);
            self.confirmed = false;
        }
    }

    /// Something the caller said.
    fn caller(&mut self, text: &str) {
        self.begun = true;
        self.aside = None;
        let seeks = self.wants.filter(|_| self.target.is_none());
        let services = self.services.clone();
        let context =
            Context { asked: self.asked, seeks, today: self.today, language: self.language, services: &services };
        let mut heard = hear(text, context);
        if self.presence {
            // "È ancora in linea?" "Sì": no answer to the question before it, but whatever else was said counts.
            (heard.yes, heard.no) = (false, false);
        }
        self.join_dictation(text, &mut heard);
        let before = self.snapshot();
        let mut learned = heard.repeat || heard.wait || heard.thanks || self.presence;
        learned |= self.intend(&heard, text);
        learned |= self.fill(&heard);
        learned |= self.want(&heard);
        let changed = self.snapshot() != before;
        if changed {
            self.confirmed = false;
            self.correcting = false;
        }
        learned |= changed | self.answer(&heard, text, changed);
        if heard.wait && !changed && self.aside.is_none() {
            self.aside = Some(Aside::Wait);
        }
        self.misses = if learned { 0 } else { self.misses + 1 };
        self.presence = false;
    }

    fn snapshot(&self) -> Snapshot {
        (self.service.clone(), self.wanted, self.chosen, self.name.clone(), self.plate.clone(), self.phone.clone())
    }

    /// A plate or number dictated in pieces, each taken for a whole utterance.
    fn join_dictation(&mut self, text: &str, heard: &mut Heard) {
        if !matches!(self.asked, Some(Question::Plate | Question::Phone)) {
            return;
        }
        self.dictation.push(text.to_string());
        if self.dictation.len() > DICTATION_MAX {
            self.dictation.remove(0);
        }
        for start in (0..self.dictation.len().saturating_sub(1)).rev() {
            let joined = self.dictation[start..].join(", ");
            if self.asked == Some(Question::Plate) && heard.plate.is_none() {
                heard.plate = spoken::plate(&joined, self.language);
            } else if self.asked == Some(Question::Phone) && heard.phone.is_none() {
                heard.phone = spoken::phone(&joined, self.language);
            }
        }
    }

    /// What the caller wants.
    fn intend(&mut self, heard: &Heard, text: &str) -> bool {
        let Some(intent) = heard.intent else { return false };
        let idle = matches!(self.wants, None | Some(Intent::Check | Intent::Message | Intent::Goodbye));
        match intent {
            // A message being dictated may speak of anything.
            _ if self.wants == Some(Intent::Message) && self.asked == Some(Question::Message) => return false,
            Intent::Book if !idle => return true,
            // "Va bene così" accepts what was offered.
            Intent::Goodbye if self.asked == Some(Question::Choice) && heard.yes => return false,
            Intent::Goodbye if heard.service.is_some() || heard.plate.is_some() => return false,
            Intent::Prices => self.aside = Some(Aside::Prices),
            Intent::Hours => self.aside = Some(Aside::Hours),
            Intent::Abandon => self.abandon(),
            Intent::Cancel if self.wants == Some(Intent::Book) && !names_appointment(text, self.language) => {
                self.abandon();
            }
            Intent::Book | Intent::Move | Intent::Cancel | Intent::Check => {
                if self.wants != Some(intent) {
                    self.begin(intent);
                }
            }
            Intent::Message => {
                self.wants = Some(intent);
                self.message = heard.tells.clone().or(self.message.take());
            }
            Intent::Human | Intent::Goodbye => self.wants = Some(intent),
        }
        true
    }

    /// Begins something new; who the caller is stays known.
    fn begin(&mut self, intent: Intent) {
        self.wants = Some(intent);
        (self.wanted, self.chosen, self.search, self.problem) = (Wanted::default(), None, None, None);
        (self.confirmed, self.correcting, self.rejected) = (false, false, false);
        (self.found, self.old_date) = (None, None);
        self.target = None;
        if let (Intent::Move | Intent::Cancel | Intent::Check, [only]) = (intent, self.booked.as_slice()) {
            self.target = Some(only.clone()); // the one just made
        }
    }

    fn abandon(&mut self) {
        let idle = self.wants.is_none();
        self.done();
        if !idle {
            self.news.push(News::Abandoned);
        }
    }

    /// Which of the appointments found is meant, as soon as there is only one.
    fn settle_target(&mut self) {
        let Some((_, found)) = self.found.as_ref().filter(|_| self.target.is_none()) else { return };
        let on_day = |found: &&Appointment| {
            self.old_date.is_none_or(|date| found.start.is_some_and(|start| start.date() == date))
        };
        if self.wants == Some(Intent::Check) && !found.is_empty() {
            let found = found.clone();
            self.done();
            self.news.push(News::Found(found));
            return;
        }
        let mut fitting = found.iter().filter(on_day);
        let only = fitting.next().filter(|_| fitting.next().is_none());
        // A day on which there is none does not hide the only one there is.
        self.target = only.or(if let [only] = found.as_slice() { Some(only) } else { None }).cloned();
    }

    /// What was wanted is done or given up.
    fn done(&mut self) {
        self.wants = None;
        self.service = None;
        self.message = None;
        (self.wanted, self.chosen, self.search, self.problem) = (Wanted::default(), None, None, None);
        (self.confirmed, self.correcting, self.rejected) = (false, false, false);
        (self.target, self.found, self.old_date) = (None, None, None);
    }

    /// Who the caller is, and which work.
    fn fill(&mut self, heard: &Heard) -> bool {
        let dictating = self.asked == Some(Question::Message) && self.wants == Some(Intent::Message);
        if let Some(service) = heard.service.clone().filter(|_| !dictating) {
            let again = self.booked.iter().any(|booked| booked.service == service) && !heard.another;
            match self.wants {
                None if !again => self.begin(Intent::Book),
                _ => {}
            }
            if self.wants == Some(Intent::Book) && self.service.as_ref() != Some(&service) {
                self.service = Some(service);
                (self.chosen, self.search) = (None, None);
            }
        }
        let mut learned = heard.service.is_some();
        if let Some(name) = &heard.name {
            self.name = Some(name.clone());
            learned = true;
        }
        if let Some(plate) = &heard.plate {
            if self.plate.as_ref() != Some(plate) && matches!(self.wants, Some(Intent::Move | Intent::Cancel)) {
                (self.found, self.target) = (None, None);
            }
            (self.plate, self.no_plate) = (Some(plate.clone()), false);
            learned = true;
        }
        if let Some(phone) = &heard.phone {
            self.phone = Some(phone.clone());
            learned = true;
        }
        learned
    }

    /// The day and hour.
    fn want(&mut self, heard: &Heard) -> bool {
        if let Some(old) = heard.old_date {
            self.old_date = Some(old);
        }
        let mut said = heard.old_date.is_some();
        let dated = !matches!(heard.date, Ok(None)) || heard.time.is_some() || heard.any_day;
        // "Avete posto martedì?" books; "allora ci vediamo martedì" after a booking does not.
        if self.wants.is_none() && dated && self.booked.is_empty() && heard.date.is_ok() {
            self.begin(Intent::Book);
        }
        if !matches!(self.wants, Some(Intent::Book | Intent::Move)) {
            return said;
        }
        match heard.date {
            Ok(Some(date)) => {
                self.wanted = Wanted { date: Some(date), any_day: false, ..self.wanted };
                (self.problem, said) = (None, true);
            }
            Err(problem) => (self.problem, said) = (Some(problem), true),
            Ok(None) => {}
        }
        if let Some(time) = heard.time {
            (self.wanted.time, said) = (Some(time), true);
        }
        if heard.any_day {
            (self.wanted, self.problem, said) = (Wanted { any_day: true, ..Wanted::default() }, None, true);
        }
        if dated {
            (self.chosen, self.rejected) = (None, false);
        }
        if heard.ordinal.is_some() || (dated && !heard.any_day && self.problem.is_none()) {
            self.pick(heard.ordinal);
        }
        said || heard.ordinal.is_some()
    }

    /// Settles on one of the slots that were offered, where what was said leaves only one.
    fn pick(&mut self, ordinal: Option<usize>) {
        let Some(Search { slots: Ok(slots), .. }) = &self.search else { return };
        if let Some(ordinal) = ordinal {
            let offered = super::policy::offered(self, slots);
            let slot = if ordinal == usize::MAX { offered.last() } else { offered.get(ordinal) };
            if let Some(slot) = slot.copied() {
                self.choose(slot);
            }
            return;
        }
        let on_day = |slot: &&DateTime| self.wanted.date.is_none_or(|date| slot.date() == date);
        let slot = match self.wanted.time {
            Some(time @ TimeOfDay::Exact { .. }) => {
                let likely = slots.iter().filter(on_day).find(|slot| slot.time() == time.likely());
                likely.or_else(|| slots.iter().filter(on_day).find(|slot| reads(time, **slot)))
            }
            Some(TimeOfDay::Morning | TimeOfDay::Afternoon | TimeOfDay::Evening) => None,
            None => {
                let mut fitting = slots.iter().filter(on_day);
                fitting.next().filter(|_| fitting.next().is_none())
            }
        };
        if let Some(slot) = slot.copied() {
            self.choose(slot);
        }
    }

    fn choose(&mut self, slot: DateTime) {
        self.chosen = Some(slot);
        let time = TimeOfDay::Exact { time: slot.time(), hour12_ambiguous: false };
        self.wanted = Wanted { date: Some(slot.date()), time: Some(time), any_day: false };
    }

    /// What a yes, a no or a word answers, by the question it follows.
    fn answer(&mut self, heard: &Heard, text: &str, changed: bool) -> bool {
        let Heard { yes, no, .. } = *heard;
        match self.asked {
            Some(Question::Confirm) if (yes || no) && !changed => {
                self.confirmed = yes;
                self.adopt(yes);
                self.correcting = no;
                if no {
                    self.forget(&heard.fields);
                }
                true
            }
            Some(Question::Choice) if yes && !changed => self.accept(),
            Some(Question::Choice) if no && !changed => {
                // "No" to Tuesday at nine, then "alle undici": Tuesday stays until another day is said.
                let date = self.wanted.date.or_else(|| self.named().0);
                (self.wanted, self.search, self.rejected) = (Wanted { date, ..Wanted::default() }, None, true);
                true
            }
            Some(Question::Change | Question::Confirm) if !heard.fields.is_empty() && !changed => {
                self.forget(&heard.fields);
                true
            }
            Some(Question::More) if self.wants.is_none() => {
                // "Il tagliando lunedì alle nove, grazie" says again what was booked: no goodbye.
                let thanks = heard.thanks && !yes && heard.service.is_none() && heard.time.is_none();
                if no || thanks {
                    self.wants = Some(Intent::Goodbye);
                }
                yes || no
            }
            Some(Question::Help) if heard.intent.is_none() => {
                if heard.colleague {
                    self.wants = Some(Intent::Human);
                } else if yes {
                    self.begin(Intent::Message);
                } else if no {
                    self.done();
                }
                yes || no || heard.colleague
            }
            Some(Question::Which) if heard.ordinal.is_some() => {
                let found = self.found.as_ref().map(|(_, found)| found.as_slice()).unwrap_or_default();
                let target = heard.ordinal.and_then(|at| found.get(at.min(found.len().saturating_sub(1))));
                self.target = target.cloned();
                true
            }
            Some(Question::Message) if self.wants == Some(Intent::Message) => {
                let is_message = !heard.repeat && !heard.wait && words(text, self.language).len() > 1;
                if is_message {
                    self.message = Some(text.trim().to_string());
                }
                is_message
            }
            Some(Question::Open) if yes && self.wants.is_none() => {
                self.begin(Intent::Book);
                true
            }
            Some(Question::Plate) if heard.dont_know => {
                self.no_plate = true;
                true
            }
            Some(Question::Phone) if heard.dont_know || no => {
                self.no_phone = true;
                true
            }
            Some(Question::Day) if heard.dont_know && self.wanted == Wanted::default() => {
                self.wanted.any_day = true;
                true
            }
            _ => false,
        }
    }

    /// A yes to an offer: the only slot, or the one the sentence named.
    fn accept(&mut self) -> bool {
        if let Some(Search { slots: Ok(slots), .. }) = &self.search
            && let [only] = slots.as_slice()
        {
            self.choose(*only);
            return true;
        }
        let one = self.search.as_ref().is_none_or(|search| {
            search.slots.as_ref().is_ok_and(|slots| super::policy::offered(self, slots).len() <= 1)
        });
        one && self.adopt(true)
    }

    /// Takes the day and hour of a sentence of another model, where the caller said yes to it and we know of none.
    fn adopt(&mut self, yes: bool) -> bool {
        let booking = matches!(self.wants, None | Some(Intent::Book | Intent::Move));
        if !yes || !booking || self.chosen.is_some() || !self.booked.is_empty() {
            return false;
        }
        let (Some(date), Some(time)) = self.named() else { return false };
        if self.wants.is_none() {
            self.wants = Some(Intent::Book);
        }
        self.wanted = Wanted { date: Some(date), time: Some(time), any_day: false };
        self.pick(None);
        true
    }

    /// Forgets what the caller says is wrong, so that it is asked again.
    fn forget(&mut self, fields: &[Field]) {
        for field in fields {
            match field {
                Field::Day => (self.wanted, self.chosen, self.search) = (Wanted::default(), None, None),
                Field::Hour => (self.wanted.time, self.chosen, self.search) = (None, None, None),
                Field::Name => self.name = None,
                Field::Plate => self.plate = None,
                Field::Phone => self.phone = None,
                Field::Service => (self.service, self.chosen, self.search) = (None, None, None),
            }
            self.correcting = false;
            self.confirmed = false;
        }
        self.dictation.clear();
    }

    /// A tool that was asked for, with its outcome if it has one.
    fn tool(&mut self, tool: &ToolAsk, outcome: Option<&str>) {
        self.tools_asked += 1;
        let arguments: Value = serde_json::from_str(&tool.arguments).unwrap_or(Value::Null);
        self.read_arguments(&tool.name, &arguments);
        let Some(content) = outcome else {
            self.pending += 1;
            return;
        };
        let result = desk::read(content);
        match tool.name.as_str() {
            "find_slots" => match result {
                Ok(value) => {
                    self.search = Some(Search { arguments, slots: Ok(desk::slots(&value)) });
                    if matches!(self.wanted.time, Some(TimeOfDay::Exact { .. })) {
                        self.pick(None);
                    }
                }
                Err(refusal) if matches!(refusal.error.as_str(), "unavailable" | "bad_arguments") => {
                    self.search = Some(Search { arguments, slots: Err(()) });
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
                    self.search = Some(Search { arguments, slots: Ok(refusal.alternatives.clone()) });
                }
            }
        }
        self.news.push(News::Refused(refusal));
    }
}

/// The outcome of a tool: `None` while it runs, or when there is none.
fn outcome<'m>(messages: &'m [Message], id: &str) -> Option<&'m str> {
    messages.iter().find_map(|message| match message {
        Message::Outcome { id: of, content } if of == id => Some(content.as_deref()),
        Message::Outcome { .. }
        | Message::Caller { .. }
        | Message::Agent { .. }
        | Message::Asked { .. }
        | Message::Note { .. } => None,
    })?
}

/// Whether a time as said can mean this slot.
fn reads(time: TimeOfDay, slot: DateTime) -> bool {
    let at = slot.time();
    match time {
        TimeOfDay::Exact { time, hour12_ambiguous } => {
            time == at || (hour12_ambiguous && time.hour() + 12 == at.hour() && time.minute() == at.minute())
        }
        TimeOfDay::Morning => at.hour() < 12,
        TimeOfDay::Afternoon => (12..18).contains(&at.hour()),
        TimeOfDay::Evening => at.hour() >= 17,
    }
}

fn names_appointment(text: &str, language: Language) -> bool {
    mentions(&words(text, language), language, "receptionist.hears_book")
}
