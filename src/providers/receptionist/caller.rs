//! What an utterance of the caller changes in what we know.

use super::{
    known::{Aside, Known, Search, Snapshot, Wanted, names_appointment},
    understand::{Context, Field, Heard, Intent, hear},
    words::{Question, mentions},
};
use crate::booking::spoken::{self, TimeOfDay, words::words};

/// Pieces of one dictation that are tried together.
const DICTATION_MAX: usize = 4;

impl Known<'_> {
    /// Something the caller said.
    pub(super) fn caller(&mut self, text: &str) {
        self.begun = true;
        self.aside = None;
        self.reads_pending = 0; // a look-up is given up with its turn
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
        if changed && self.asked == Some(Question::Confirm) {
            self.asked = None; // what was read back is no more: a yes must follow the new one
        }
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
            Intent::Status => self.aside = Some(Aside::Status),
            Intent::Prices => {
                self.aside = Some(Aside::Prices);
                self.priced = heard.service.clone();
            }
            Intent::Hours => self.aside = Some(Aside::Hours),
            Intent::Abandon => self.abandon(),
            Intent::Cancel if self.wants == Some(Intent::Book) && !names_appointment(text, self.language) => {
                self.abandon();
            }
            // "Facciamo un altro giorno", "spostiamo a giovedì" while booking: no appointment is moved yet.
            Intent::Move if self.wants == Some(Intent::Book) && !names_appointment(text, self.language) => {
                if self.asked == Some(Question::Choice) && matches!(heard.date, Ok(None)) && heard.time.is_none() {
                    self.reject();
                }
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
        let opening = self.booked.is_empty() && self.asked != Some(Question::More);
        if self.wants.is_none() && dated && opening && heard.date.is_ok() {
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
        let same = self.target.as_ref().and_then(|target| target.start).filter(|_| heard.same_time);
        let same = same.map(|start| TimeOfDay::Exact { time: start.time(), hour12_ambiguous: false });
        if let Some(time) = same.or(heard.time) {
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
                self.reject();
                true
            }
            Some(Question::Change | Question::Confirm) if !heard.fields.is_empty() && !changed => {
                self.forget(&heard.fields);
                true
            }
            Some(Question::More) if self.wants.is_none() => {
                // "Il tagliando lunedì alle nove, grazie" says again what was booked: no goodbye.
                let bare = heard.service.is_none() && heard.time.is_none();
                let thanks = heard.thanks && !heard.plain_yes && bare;
                if heard.plain_yes && bare {
                    self.aside = Some(Aside::GoAhead);
                }
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
            // "Vuole prenotare o spostare?" "Sì" chooses nothing.
            Some(Question::Open)
                if yes && self.wants.is_none() && {
                    let asked = words(self.last_said, self.language);
                    !mentions(&asked, self.language, "receptionist.hears_move")
                } =>
            {
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

    /// The caller wants none of what was offered. "No" to Tuesday at nine, then "alle undici": Tuesday stays until
    /// another day is said.
    fn reject(&mut self) {
        let date = self.wanted.date.or_else(|| self.named().0);
        (self.wanted, self.search, self.rejected) = (Wanted { date, ..Wanted::default() }, None, true);
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
}
