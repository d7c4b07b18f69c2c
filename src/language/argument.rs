//! What fills a placeholder: a value, which every language writes alike, or again a sentence.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::text::Text;
use crate::time::{Span, Time};

/// What a sentence may name. Types of later stages say with one empty line that they are values.
pub trait Said: fmt::Display {
    /// As a text: a value, unless it is one already.
    fn said(&self) -> Text {
        Text::value(self.to_string())
    }
}

impl Said for Text {
    fn said(&self) -> Text {
        self.clone()
    }
}

impl<T: Said + ?Sized> Said for &T {
    fn said(&self) -> Text {
        (**self).said()
    }
}

impl<T: Said + ToOwned + ?Sized> Said for std::borrow::Cow<'_, T>
where
    T::Owned: fmt::Display,
{
    fn said(&self) -> Text {
        (**self).said()
    }
}

impl<T: Said + ?Sized> Said for std::sync::Arc<T> {
    fn said(&self) -> Text {
        (**self).said()
    }
}

impl<T: Said + ?Sized> Said for Box<T> {
    fn said(&self) -> Text {
        (**self).said()
    }
}

macro_rules! values {
    ($($type:ty)*) => { $(impl Said for $type {})* };
}

values!(str String char bool u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64 IpAddr Ipv4Addr Ipv6Addr Time Span);
