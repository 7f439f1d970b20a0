//! What we know of the conversation, read from the whole history each time.
//!
//! The history may have been made by another model: its sentences tell which question was asked, its tool calls and
//! their outcomes tell what was found and done. The last mention wins; whatever changes a booking takes back the
//! caller's yes to it.

use jiff::civil::{Date, DateTime};
use serde_json::Value;

use super::{
    desk::{Appointment, Refusal},
    services::Services,
    understand::Intent,
    words::{Question, mentions, question},
};
use crate::{
    booking::{
        phone::Phone,
        plate::Plate,
        spoken::{self, SpokenError, TimeOfDay, Utterance, words::words},
    },
    call::{Ask, Message},
    language::Language,
};

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
    /// The service whose price was asked.
    pub priced: Option<String>,
    /// Asides of the last utterance, answered before going on.
    pub aside: Option<Aside>,
    /// The question the caller heard last.
    pub asked: Option<Question>,
    /// Utterances in a row that said nothing we understood.
    pub misses: usize,
    /// Writes that still run.
    pub writes_pending: usize,
    /// Look-ups that still run, asked for in this turn.
    pub reads_pending: usize,
    /// The slots found have not been offered yet.
    pub unoffered: bool,
    /// Tools asked for in the whole call.
    pub tools_asked: usize,
    /// The call is being ended or handed over.
    pub over: bool,
    /// The caller has said something.
    pub begun: bool,
    /// We asked whether the caller is still there: a yes answers that, nothing else.
    pub presence: bool,
    /// What the caller said since the plate or phone was asked, for dictations in pieces.
    pub dictation: Vec<String>,
    /// Our last sentence; a yes to a model's offer means the day and hour it names.
    pub last_said: &'a str,
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
pub(super) type Snapshot = (Option<String>, Wanted, Option<DateTime>, Option<String>, Option<Plate>, Option<Phone>);

/// A look into the calendar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Search {
    /// What was asked.
    pub arguments: Value,
    /// The slots, or that the calendar could not be used.
    pub slots: Result<Vec<DateTime>, ()>,
    /// Why there is nothing as it was asked, in the tool's words.
    pub reason: Option<String>,
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
    Status,
    /// "Sì" to "serve altro?".
    GoAhead,
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
            priced: None,
            aside: None,
            asked: None,
            misses: 0,
            writes_pending: 0,
            reads_pending: 0,
            unoffered: false,
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
            // Shops have no evening of their own: its slots are the last ones of the afternoon.
            Some(TimeOfDay::Afternoon | TimeOfDay::Evening) => {
                drop(arguments.insert("part".into(), "afternoon".into()));
            }
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
        // A filler or "are you still there" leaves the last question standing; so does a cut sentence, but a yes after
        // half a read-back is no yes to an earlier one.
        let question = question(text, self.language);
        if interrupted && question.is_none() && self.asked == Some(Question::Confirm) {
            self.asked = None;
        }
        if let Some(question) = question {
            let same = self.asked == Some(question);
            if !same {
                self.dictation.clear();
            }
            self.asked = Some(question);
            self.unoffered &= question != Question::Choice;
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
    pub(super) fn named(&self) -> (Option<Date>, Option<TimeOfDay>) {
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

    /// Begins something new; who the caller is stays known.
    pub(super) fn begin(&mut self, intent: Intent) {
        self.wants = Some(intent);
        (self.wanted, self.chosen, self.search, self.problem) = (Wanted::default(), None, None, None);
        (self.confirmed, self.correcting, self.rejected) = (false, false, false);
        (self.found, self.old_date) = (None, None);
        self.target = None;
        if let (Intent::Move | Intent::Cancel | Intent::Check, [only]) = (intent, self.booked.as_slice()) {
            self.target = Some(only.clone()); // the one just made
        }
    }

    pub(super) fn abandon(&mut self) {
        let idle = self.wants.is_none();
        self.done();
        if !idle {
            self.news.push(News::Abandoned);
        }
    }

    /// Which of the appointments found is meant, as soon as there is only one.
    pub(super) fn settle_target(&mut self) {
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
    pub(super) fn done(&mut self) {
        self.wants = None;
        self.service = None;
        self.message = None;
        (self.wanted, self.chosen, self.search, self.problem) = (Wanted::default(), None, None, None);
        (self.confirmed, self.correcting, self.rejected) = (false, false, false);
        (self.target, self.found, self.old_date) = (None, None, None);
    }

    /// Settles on one of the slots that were offered, where what was said leaves only one.
    pub(super) fn pick(&mut self, ordinal: Option<usize>) {
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

    pub(super) fn choose(&mut self, slot: DateTime) {
        self.chosen = Some(slot);
        let time = TimeOfDay::Exact { time: slot.time(), hour12_ambiguous: false };
        self.wanted = Wanted { date: Some(slot.date()), time: Some(time), any_day: false };
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

pub(super) fn names_appointment(text: &str, language: Language) -> bool {
    mentions(&words(text, language), language, "receptionist.hears_book")
}
