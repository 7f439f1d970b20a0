//! placeholder
use super::Rate;
/// x
#[derive(Debug)]
pub struct EchoGuard;
impl EchoGuard {
    /// x
    pub fn new() -> Self {
        Self
    }
    /// x
    pub fn played(&mut self, _s: &[i16], _r: Rate) {}
    /// x
    pub fn likeness(&self, _h: &[i16]) -> f32 {
        0.0
    }
}
