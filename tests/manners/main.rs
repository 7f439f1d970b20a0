//! Manners on the telephone, with real speech, the real detectors and real lines, in virtual time: every bound is in
//! samples and exact. The stories of `tests/calls` say the same with a made-up voice.

#![allow(clippy::print_stdout, reason = "`--nocapture` shows what was measured")]

#[path = "../audio_voice/mod.rs"]
mod audio_voice;
mod stage;

mod caller_cuts_in;
mod caller_pauses;
mod our_voice_comes_back;
mod slams_coughs_and_keys;
mod somebody_else_is_spoken_to;

use pronto::audio::{Format, Line};

/// The lines of the first users: Twilio's, which can take back what was sent, and Vapi's, which cannot.
const LINES: [(&str, Line); 2] =
    [("Twilio, mu-law 8 kHz", Line::twilio()), ("Vapi, PCM 16 kHz", Line::vapi(Format::PCM_WIDE))];

/// What we say when we have a lot to say.
const LONG: [&str; 6] = [
    "Il tagliando completo comprende il cambio dell'olio e dei filtri, il controllo dei freni e delle gomme.",
    "Il prezzo dipende dal modello della macchina e dai chilometri che ha fatto fino a oggi.",
    "Di solito teniamo la vettura una mattina intera e la riconsegniamo nel primo pomeriggio.",
    "Se serve possiamo darle un'auto di cortesia, basta che ce lo dica almeno due giorni prima.",
    "Per la revisione invece bisogna portare il libretto di circolazione originale e non una copia.",
    "Quando passa a ritirarla le spieghiamo con calma tutto quello che abbiamo trovato e cambiato.",
];
