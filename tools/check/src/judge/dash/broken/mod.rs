//! Good observations with one thing broken: the rule that is named is the one.

mod media;
mod over_time;
mod requests;
mod texts;
