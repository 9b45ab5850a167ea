//! Who talks to the origin: encoders, players, abusers and vandals.

pub mod abuser;
pub mod encoder;
pub mod operator;
pub mod player;
pub mod vandal;

use crate::net::ConnId;
use crate::world::World;

/// What an agent is told.
#[derive(Clone, Copy, Debug)]
pub enum Signal<'a> {
    /// It asked to be woken, with this token.
    Wake(u64),
    /// Bytes came on a connection.
    Bytes(ConnId, &'a [u8]),
    /// A connection is over.
    Closed(ConnId),
    /// Faults are over: behave from now on.
    Heal,
    /// Nothing more is sent: the programme is over.
    Over,
    /// Close everything.
    Leave,
}

/// A peer of the origin.
pub trait Agent {
    /// Reacts; `me` is its own index.
    fn on(&mut self, me: usize, world: &mut World, signal: Signal<'_>);

    /// What it has to complain about at the end of the healthy phase.
    fn complaint(&self, _world: &World) -> Option<String> {
        None
    }
}
