//! The plain case: somebody speaks, and is answered.

use pronto::sim::story::{ms, says, story};

#[test]
fn a_question_is_answered_soon() {
    story()
        .caller(0.5..2.0, "vorrei prenotare un tagliando")
        .model(says("Certo. Per che giorno?"))
        .expect("one answer", |t| t.asks() == 1)
        .expect("understood", |t| t.understood() == ["vorrei prenotare un tagliando"])
        // 700 ms of silence, 300 of the model, 100 of the voice, and at most a frame or two of ours.
        .expect("soon", |t| t.silence_after(2.0) >= ms(1_100) && t.silence_after(2.0) < ms(1_250))
        .expect("all of it heard", |t| t.said() == ["Certo. Per che giorno?"])
        .play();
}
