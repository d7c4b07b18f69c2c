//! What fills a placeholder: a value, which every language writes alike, or again a sentence.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::text::Text;
use crate::time::{Span, Time};

/// What a sentence may name. Types of later stages say with `values!` that they are values.
pub trait Said {
    /// As a text: a value, unless it is one already.
    fn said(&self) -> Text;
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

impl<T: Said + ToOwned + ?Sized> Said for std::borrow::Cow<'_, T> {
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

/// Types that every language writes as `Display` has them.
macro_rules! values {
    ($($type:ty),* $(,)?) => {
        $(impl $crate::language::Said for $type {
            fn said(&self) -> $crate::language::Text {
                $crate::language::Text::value(::std::string::ToString::to_string(self))
            }
        })*
    };
}

pub(crate) use values;

values!(str, String, char, bool, u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize, f32, f64);
values!(IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, Time, Span);
