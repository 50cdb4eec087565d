//! What calls of a session take from jobs.

use super::SessionOptions;
use crate::types::{Caller, Priority, Target};
use std::time::Duration;

macro_rules! as_of_a_job {
    ($($name:ident: $type:ty,)*) => {
        impl SessionOptions {
            $(
                #[doc = concat!("As [`JobOptions::", stringify!($name), "`](crate::JobOptions::", stringify!($name), ").")]
                pub fn $name(mut self, value: $type) -> Self {
                    self.job = self.job.$name(value);
                    self
                }
            )*
        }
    };
}

as_of_a_job! {
    pin: Target,
    among: impl IntoIterator<Item = Target>,
    deadline: Duration,
    queue_timeout: Duration,
    attempt_timeout: Duration,
    attempts: u32,
    priority: Priority,
    caller: Caller,
    outputs: impl IntoIterator<Item = impl Into<String>>,
}
