//! The model of a shop as the custom LLM of an assistant that lives at Vapi, over loopback.

use std::sync::Arc;

use pronto::{
    call::{Finish, LlmEvent, Message},
    providers::{Kind, ProviderError},
    vapi::Vapi,
};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::{
    gateway_shop::Running,
    vapi_shop::{Said, Shop, TOKEN, post, read_until, running, send, wait},
};

const PATH: &str = "/vapi/rossi/chat/completions";
const BEARER: [(&str, &str); 1] = [("authorization", "Bearer segreto")];

fn words(text: &str) -> Said {
    Said::Event(LlmEvent::Words(text.into()))
}

fn tool(id: &str, name: &str) -> Said {
    Said::Event(LlmEvent::Tool { id: id.into(), name: name.into(), arguments: r#"{"plate":"AB123CD"}"#.into() })
}

fn done() -> Said {
    Said::Event(LlmEvent::Done(Finish::Said))
}

fn asks() -> Said {
    Said::Event(LlmEvent::Done(Finish::Tools))
}

/// A question in which the caller has said these things, with an answer after all but the last.
fn question(call: &str, said: &[&str]) -> Value {
    let mut messages = vec![json!({"role": "system", "content": "Sei un assistente."})];
    for (at, text) in said.iter().enumerate() {
        if at > 0 {
            messages.push(json!({"role": "assistant", "content": "Certo."}));
        }
        messages.push(json!({"role": "user", "content": text}));
    }
    let offered = ["endCall", "transferCall"].map(|name| json!({"type": "function", "function": {"name": name}}));
    json!({"model": "officina", "stream": true, "messages": messages, "tools": offered,
           "call": {"id": call}, "customer": {"number": "+393331234567"}})
}

async fn ask(gateway: &Running, question: &Value) -> TcpStream {
    send(gateway.address, PATH, &BEARER, &question.to_string()).await
}

/// The whole answer: its words, the tool for the platform, and why it ended.
async fn answer(gateway: &Running, question: &Value) -> (String, Option<Value>, String) {
    let mut tcp = ask(gateway, question).await;
    let mut read = String::new();
    read_until(&mut tcp, &mut read, "\0").await;
    heard(&read)
}

fn heard(read: &str) -> (String, Option<Value>, String) {
    assert!(read.starts_with("HTTP/1.1 200") && read.contains("content-type: text/event-stream"), "{read}");
    let (mut words, mut call, mut finish) = (String::new(), None, String::new());
    let events: Vec<_> = read.split("data: ").skip(1).map(|event| event.split("\n\n").next().unwrap()).collect();
    assert_eq!(events.last(), Some(&"[DONE]"), "{read}");
    for (at, event) in events[..events.len() - 1].iter().enumerate() {
        let chunk: Value = serde_json::from_str(event).unwrap_or_else(|_| panic!("no JSON: {event}"));
        assert_eq!((&chunk["object"], &chunk["model"]), (&"chat.completion.chunk".into(), &"officina".into()));
        let choice = &chunk["choices"][0];
        assert_eq!(choice["delta"]["role"].is_string(), at == 0, "the role comes first");
        words.push_str(choice["delta"]["content"].as_str().unwrap_or(""));
        if let Some(first) = choice["delta"]["tool_calls"].get(0) {
            call = Some(first["function"].clone());
        }
        if let Some(reason) = choice["finish_reason"].as_str() {
            finish = reason.to_owned();
        }
    }
    (words, call, finish)
}

/// A conversation in short.
fn told(messages: &[Message]) -> Vec<String> {
    let tell = |message: &Message| match message {
        Message::Caller { text } => format!("caller: {text}"),
        Message::Agent { text, .. } => format!("agent: {text}"),
        Message::Note { text } => format!("note: {text}"),
        Message::Asked { tools } => format!("asked: {} {}", tools[0].id, tools[0].name),
        Message::Outcome { id, content } => {
            format!("outcome: {id} {}", if content.is_some() { "done" } else { "pending" })
        }
    };
    messages.iter().map(tell).collect()
}

#[tokio::test]
async fn each_word_leaves_as_it_comes() {
    let shop = Arc::new(Shop::new(vec![vec![words("Buon"), Said::Wait, words("giorno"), done()]]));
    let gateway = running(Vapi::default(), &shop);
    let mut tcp = ask(&gateway, &question("c1", &["Pronto?"])).await;
    let mut read = String::new();
    // The model is still waiting: nothing behind the first word holds it up.
    read_until(&mut tcp, &mut read, "Buon").await;
    assert!(read.contains("Buon") && !read.contains("giorno"), "{read}");
    shop.may_go_on.add_permits(1);
    read_until(&mut tcp, &mut read, "\0").await;
    let events = read.matches("data: ").count();
    assert_eq!(events, 5, "role, two words, the end, [DONE]: {read}");
    let asked = shop.ask(0);
    assert_eq!(told(&asked.messages), ["caller: Pronto?"]);
    assert!(asked.instructions.contains("Officina") && asked.tools.len() == 5, "the tenant's own prompt and tools");
    assert_eq!(asked.caller.unwrap().reveal(), "+393331234567");
    gateway.close().await;
}

#[tokio::test]
async fn our_tools_run_on_our_side_and_the_next_question_knows_it() {
    let shop = Arc::new(Shop::new(vec![
        vec![words("Controllo."), tool("a", "find"), asks()],
        vec![tool("b", "book"), tool("c", "nothing"), asks()],
        vec![words("Prenotato."), done()],
        vec![words("Prego."), done()],
        vec![words("Dica."), done()],
    ]));
    let gateway = running(Vapi::default(), &shop);
    let (said, call, finish) = answer(&gateway, &question("c1", &["Prenoti."])).await;
    assert_eq!((said.as_str(), call, finish.as_str()), ("Controllo. Prenotato.", None, "stop"));
    assert_eq!(shop.ran(), ["find", "book"]);
    let expected = ["caller: Prenoti.", "agent: Controllo.", "asked: a find", "outcome: a done", "asked: b book"];
    let third = told(&shop.ask(2).messages);
    assert_eq!(third[..5], expected);
    assert_eq!(third[5..], ["outcome: b done", "asked: c nothing", "outcome: c done"]);
    // Vapi does not echo them; another call knows nothing of them.
    answer(&gateway, &question("c1", &["Prenoti.", "Grazie."])).await;
    let fourth = told(&shop.ask(3).messages);
    let expected = ["caller: Prenoti.", "asked: a find", "outcome: a done", "asked: b book", "outcome: b done"];
    assert_eq!(fourth[..5], expected);
    assert_eq!(fourth[5..], ["agent: Certo.", "caller: Grazie."]);
    answer(&gateway, &question("c2", &["Prenoti."])).await;
    assert_eq!(told(&shop.ask(4).messages), ["caller: Prenoti."]);
    gateway.close().await;
}

#[tokio::test]
async fn vapi_cancels_the_request_while_a_booking_runs_and_the_next_one_knows_it() {
    let shop = Arc::new(Shop::gated(vec![vec![tool("a", "book"), asks()], vec![words("Fatto."), done()]]));
    let gateway = running(Vapi::default(), &shop);
    let cancelled = ask(&gateway, &question("c1", &["Prenoti."])).await;
    wait("the booking's begin", &shop.begun, 1).await;
    drop(cancelled);
    wait("the first question", &shop.asked, 1).await;
    let mut next = ask(&gateway, &question("c1", &["Prenoti.", "Allora?"])).await;
    let mut read = String::new();
    read_until(&mut next, &mut read, "role").await;
    assert_eq!(shop.asked.available_permits(), 0, "the model is not asked before the booking has ended");
    shop.may_end.add_permits(1);
    read_until(&mut next, &mut read, "\0").await;
    assert_eq!(heard(&read).0, "Fatto.");
    assert_eq!(shop.ran(), ["book"], "once");
    let known = told(&shop.ask(1).messages);
    assert_eq!(
        known,
        ["caller: Prenoti.", "asked: a book", "outcome: a done", "agent: Certo.", "caller: Allora?"],
        "the model was asked when the outcome was there"
    );
    gateway.close().await;
}

#[tokio::test]
async fn a_model_that_asks_again_while_the_booking_runs_joins_it() {
    let mut shop = Shop::gated(vec![
        vec![tool("a", "book"), asks()],
        vec![tool("b", "book"), asks()],
        vec![words("Fatto."), done()],
    ]);
    shop.settings.patience_ms = 1;
    let shop = Arc::new(shop);
    let gateway = running(Vapi::default(), &shop);
    let cancelled = ask(&gateway, &question("c1", &["Prenoti."])).await;
    wait("the booking's begin", &shop.begun, 1).await;
    drop(cancelled);
    wait("the first question", &shop.asked, 1).await;
    let mut next = ask(&gateway, &question("c1", &["Prenoti.", "Allora?"])).await;
    // The booking takes longer than the model is kept waiting.
    wait("the second question", &shop.asked, 1).await;
    assert!(told(&shop.ask(1).messages).contains(&"outcome: a pending".to_owned()));
    shop.may_end.add_permits(1);
    let mut read = String::new();
    read_until(&mut next, &mut read, "\0").await;
    assert!(heard(&read).0.ends_with("Fatto."), "{read}");
    assert_eq!((shop.ran(), shop.begun.available_permits()), (vec!["book".to_owned()], 0), "once");
    gateway.close().await;
}

#[tokio::test]
async fn six_requests_in_one_turn_end_with_one_answer() {
    let mut answers = vec![vec![words("Uhm"), Said::Wait]; 5];
    answers.push(vec![words("Eccomi."), done()]);
    let shop = Arc::new(Shop::new(answers));
    let gateway = running(Vapi::default(), &shop);
    let mut earlier = Vec::new();
    for _ in 0..5 {
        earlier.push(ask(&gateway, &question("c1", &["Vorrei"])).await);
        wait("the question", &shop.asked, 1).await;
    }
    // Their connections are still open: the newest takes over all the same.
    let (said, _, finish) = answer(&gateway, &question("c1", &["Vorrei prenotare"])).await;
    assert_eq!((said.as_str(), finish.as_str()), ("Eccomi.", "stop"));
    wait("the earlier ones' end", &shop.dropped, 5).await;
    for mut tcp in earlier {
        let mut read = String::new();
        read_until(&mut tcp, &mut read, "\0").await;
        let (_, _, finish) = heard(&read);
        assert_eq!(finish, "stop", "ended as it should: {read}");
    }
    gateway.close().await;
}

#[tokio::test]
async fn a_connection_that_goes_takes_the_model_and_the_look_ups_with_it() {
    let shop = Arc::new(Shop::gated(vec![vec![words("Uhm"), Said::Wait], vec![tool("a", "find"), asks()]]));
    let gateway = running(Vapi::default(), &shop);
    let gone = ask(&gateway, &question("c1", &["Vorrei"])).await;
    wait("the question", &shop.asked, 1).await;
    drop(gone);
    wait("the model's end", &shop.dropped, 1).await;
    let gone = ask(&gateway, &question("c1", &["Vorrei", "sapere"])).await;
    wait("the look-up's begin", &shop.begun, 1).await;
    drop(gone);
    wait("the look-up's end", &shop.given_up, 1).await;
    gateway.close().await;
    assert!(shop.ran().is_empty(), "nobody waits for it");
}

#[tokio::test]
async fn the_platform_ends_the_call_and_puts_the_caller_through() {
    let shop = Arc::new(Shop::new(vec![
        vec![words("Arrivederci."), tool("a", "end_call"), asks()],
        vec![tool("b", "end_call"), asks()],
        vec![tool("c", "transfer"), asks()],
        vec![tool("d", "transfer"), asks()],
        vec![words("Non posso."), done()],
    ]));
    let gateway = running(Vapi::default(), &shop);
    let (said, call, finish) = answer(&gateway, &question("c1", &["Basta."])).await;
    assert_eq!((said.as_str(), finish.as_str()), ("Arrivederci.", "tool_calls"));
    assert_eq!(call, Some(json!({"name": "endCall", "arguments": "{}"})));
    let (said, _, _) = answer(&gateway, &question("c2", &["Basta."])).await;
    assert_eq!(said, "Grazie per aver chiamato, arrivederci.", "nobody is left without a word");
    let (said, call, _) = answer(&gateway, &question("c3", &["Una persona."])).await;
    assert_eq!(said, "La passo subito a un collega.");
    assert_eq!(call, Some(json!({"name": "transferCall", "arguments": "{\"destination\":\"+390698765432\"}"})));
    // A platform that cannot: the model is told, and says so.
    let mut without = question("c4", &["Una persona."]);
    without["tools"] = Value::Null;
    let (said, call, finish) = answer(&gateway, &without).await;
    assert_eq!((said.as_str(), call, finish.as_str()), ("Non posso.", None, "stop"));
    let Some(Message::Outcome { content: Some(content), .. }) = shop.ask(4).messages.last().cloned() else { panic!() };
    assert!(content.contains("no_transfer"), "{content}");
    gateway.close().await;
}

#[tokio::test]
async fn a_model_that_fails_says_so_in_words_and_in_the_end_says_goodbye() {
    let broken = || Said::Fails(ProviderError::upstream("fake", Kind::Unreachable, "on purpose"));
    let shop = Arc::new(Shop::new(vec![
        vec![words("Allora"), broken()],
        vec![Said::Panics],
        vec![words("Bene."), done()],
        vec![done()],
        vec![],
        vec![broken()],
    ]));
    let gateway = running(Vapi::default(), &shop);
    let trouble = "Mi scusi, sto avendo una difficoltà. Può ripetere?";
    let ask = async || answer(&gateway, &question("c1", &["Pronto?"])).await;
    assert_eq!(ask().await, (format!("Allora {trouble}"), None, "stop".into()));
    assert_eq!(ask().await, (trouble.into(), None, "stop".into()), "a bug");
    assert_eq!(ask().await.0, "Bene.", "and the count begins again");
    assert_eq!(ask().await.0, trouble, "nothing said");
    assert_eq!(ask().await.0, trouble, "cut off");
    let (said, call, finish) = ask().await;
    assert!(said.starts_with("Mi scusi, ho un problema tecnico."), "{said}");
    assert_eq!((call.unwrap()["name"].clone(), finish.as_str()), (json!("endCall"), "tool_calls"));
    gateway.close().await;
}

#[tokio::test]
async fn a_caller_whose_answer_is_late_hears_a_filler() {
    let mut shop = Shop::new(vec![vec![Said::Wait, words("Eccomi."), done()]]);
    shop.settings.filler_ms = 1;
    let shop = Arc::new(shop);
    let gateway = running(Vapi::default(), &shop);
    let mut tcp = ask(&gateway, &question("c1", &["Pronto?"])).await;
    let mut read = String::new();
    read_until(&mut tcp, &mut read, "Un attimo, controllo.").await;
    shop.may_go_on.add_permits(1);
    read_until(&mut tcp, &mut read, "\0").await;
    let (said, _, _) = heard(&read);
    assert!(said.starts_with("Un attimo, controllo. ") && said.ends_with(" Eccomi."), "{said}");
    gateway.close().await;
}

#[tokio::test]
async fn a_model_that_says_nothing_is_given_up() {
    let mut shop = Shop::new(vec![vec![Said::Wait]]);
    shop.settings.answer_ms = 1;
    let shop = Arc::new(shop);
    let gateway = running(Vapi::default(), &shop);
    let (said, _, _) = answer(&gateway, &question("c1", &["Pronto?"])).await;
    assert_eq!(said, "Mi scusi, sto avendo una difficoltà. Può ripetere?");
    gateway.close().await;
}

#[tokio::test]
async fn other_shapes_of_the_request_are_answered_too() {
    let shop = Arc::new(Shop::new(vec![
        vec![words("Officina, buongiorno."), done()],
        vec![words("Cer"), words("to."), tool("a", "end_call"), asks()],
        vec![words("Eccomi."), done()],
    ]));
    let gateway = running(Vapi::default(), &shop);
    // The first message is the model's own: nobody has spoken.
    let (said, _, _) = answer(&gateway, &question("c1", &[])).await;
    assert_eq!((said.as_str(), shop.ask(0).messages.len()), ("Officina, buongiorno.", 0));
    // Whole.
    let mut whole = question("c1", &["Pronto?"]);
    whole["stream"] = false.into();
    let (status, body) = post(gateway.address, PATH, &BEARER, &whole.to_string()).await;
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["object"]), (200, &json!("chat.completion")));
    assert_eq!(body["choices"][0]["message"]["content"], "Certo.");
    assert_eq!(body["choices"][0]["message"]["tool_calls"][0]["function"]["name"], "endCall");
    assert_eq!(body["choices"][0]["finish_reason"], "tool_calls");
    // The path stands there twice, the token bare, and the call is not told.
    let path = format!("{PATH}/chat/completions");
    let bare = json!({"messages": [{"role": "user", "content": "Ci sei?"}]}).to_string();
    let (status, body) = post(gateway.address, &path, &[("authorization", TOKEN)], &bare).await;
    assert!(status == 200 && body.contains("Eccomi."), "{body}");
    // And what is none.
    for bad in ["", "[]", "{}"] {
        let (status, body) = post(gateway.address, PATH, &BEARER, bad).await;
        assert!(status == 400 && body.contains("messages"), "{bad}: {status} {body}");
    }
    assert_eq!(post(gateway.address, PATH, &[], &bare).await.0, 401);
    gateway.close().await;
}

#[tokio::test]
async fn a_shutdown_lets_an_answer_come_to_its_end() {
    let shop = Arc::new(Shop::new(vec![vec![words("Un"), Said::Wait, words("attimo"), done()]]));
    let tenants = [crate::vapi_shop::tenant("rossi", Vapi::default(), &shop)];
    let drain = pronto::gateway::DrainSettings { finish_s: 20, goodbye_s: 0 };
    let mut gateway = Running::start(tenants, drain, 100);
    let mut tcp = ask(&gateway, &question("c1", &["Pronto?"])).await;
    let mut read = String::new();
    read_until(&mut tcp, &mut read, "Un").await;
    gateway.stop();
    shop.may_go_on.add_permits(1);
    read_until(&mut tcp, &mut read, "\0").await;
    assert_eq!(heard(&read).0, "Unattimo");
    gateway.close().await;
}
