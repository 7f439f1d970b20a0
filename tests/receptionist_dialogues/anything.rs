//! Random callers: whatever they say, nothing is written without a yes, nothing is booked twice, and every turn ends.

use pronto::call::Message;
use proptest::{prelude::*, sample::select};

use crate::desk::Conversation;

const YES: [&str; 4] = ["sì", "certo, va bene", "confermo", "perfetto"];
const SAYS: [&str; 40] = [
    "vorrei un tagliando",
    "il cambio gomme",
    "anzi una revisione",
    "vorrei prenotare",
    "martedì alle nove",
    "mercoledì pomeriggio",
    "domani",
    "alle dieci",
    "no, alle undici",
    "il 15",
    "martedì 15 aprile",
    "domenica",
    "il prima possibile",
    "la prima",
    "la seconda",
    "no",
    "nessuna",
    "mi chiamo Mario Rossi",
    "Bianchi",
    "AB123CD",
    "A B uno due tre C E",
    "targa A B uno",
    "la targa è sbagliata",
    "333 1234567",
    "non lo so",
    "come scusi?",
    "un attimo",
    "vorrei spostare l'appuntamento a giovedì alle dieci",
    "vorrei annullare l'appuntamento",
    "quando ho l'appuntamento?",
    "vorrei lasciare un messaggio",
    "dica che la macchina perde olio",
    "quanto costa?",
    "lasci stare",
    "grazie",
    "le serve qualcosa a martedì?",
    "anche il tagliando",
    "eh",
    "",
    "quello di martedì",
];

fn utterance() -> impl Strategy<Value = String> {
    prop_oneof![
        5 => select(SAYS.to_vec()).prop_map(str::to_string),
        3 => select(YES.to_vec()).prop_map(str::to_string),
        1 => (select(SAYS.to_vec()), select(SAYS.to_vec())).prop_map(|(a, b)| format!("{a}, {b}")),
        1 => "\\PC{0,30}",
    ]
}

/// The caller's last words and our question before them, when this write was asked for.
fn before_write(messages: &[Message], at: usize) -> (Option<&str>, Option<&str>) {
    let mut caller = None;
    for message in messages[..at].iter().rev() {
        match message {
            Message::Caller { text } if caller.is_none() => caller = Some(text.as_str()),
            Message::Agent { text, .. } if caller.is_some() => return (caller, Some(text)),
            Message::Caller { .. } => return (caller, None),
            Message::Agent { .. } | Message::Asked { .. } | Message::Outcome { .. } | Message::Note { .. } => {}
        }
    }
    (caller, None)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_written_without_a_yes(
        says in proptest::collection::vec((utterance(), 0_u8..8), 1..25),
        withheld in any::<bool>(),
    ) {
        let mut call = Conversation::italian();
        if withheld {
            call.caller = None;
        }
        for (text, cut) in &says {
            if *cut == 0 && let Some(Message::Agent { text, .. }) = call.messages.last() {
                let half: String = text.chars().take(text.chars().count() / 2).collect();
                call.cut(&half);
            }
            call.says(text);
            if call.desk.ended || call.desk.transferred {
                break;
            }
        }
        for (at, message) in call.messages.iter().enumerate() {
            let Message::Asked { tools } = message else { continue };
            for tool in tools {
                if matches!(tool.name.as_str(), "book_appointment" | "move_appointment" | "cancel_appointment") {
                    let (caller, agent) = before_write(&call.messages, at);
                    let yes = caller.is_some_and(|text| YES.iter().any(|yes| text.to_lowercase().contains(yes)));
                    let asked = agent.is_some_and(|text| text.contains("Confermo?"));
                    prop_assert!(yes && asked, "{} after {:?} / {:?}\n{:#?}", tool.name, agent, caller, call.messages);
                }
            }
        }
        let mut ids: Vec<&str> = Vec::new();
        for message in &call.messages {
            if let Message::Asked { tools } = message {
                ids.extend(tools.iter().map(|tool| tool.id.as_str()));
            }
        }
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        prop_assert_eq!(ids.len(), all, "an id twice");
        let booked = call.desk.calls.iter().filter(|(name, _)| name == "book_appointment");
        let mut starts: Vec<String> = booked.map(|(_, arguments)| arguments.to_string()).collect();
        let all = starts.len();
        starts.sort();
        starts.dedup();
        // The same appointment may be booked again only after it was moved or cancelled.
        let undone = call.count("cancel_appointment") + call.count("move_appointment");
        prop_assert!(all - starts.len() <= undone, "{:#?}", call.desk.calls);
    }
}
