//! A response ready to be sent, shared by every exchange that gets it.

use bytes::Bytes;

use crate::media::rope::Rope;

/// A whole response. The head has no `Connection` field; the connection adds
/// `Connection: close` where it must.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// The head, `HTTP/1.1 ` to the empty line, and behind it the body when it
    /// is small enough to go out in the same send.
    pub first: Bytes,
    /// Bytes of `first` that are head.
    pub head_len: usize,
    /// The rest of the body.
    pub rest: Rope,
}

impl Reply {
    /// The head alone.
    pub fn head(&self) -> Bytes {
        self.first.slice(..self.head_len)
    }

    /// Bytes of the body.
    pub fn body_len(&self) -> u64 {
        (self.first.len() - self.head_len) as u64 + self.rest.len()
    }

    /// The body, sharing memory.
    pub fn body(&self) -> Rope {
        let mut body = Rope::from(self.first.slice(self.head_len..));
        body.extend(&self.rest);
        body
    }
}
