//! Values of fields, independent of the record's type.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// Value of a field. Serialises as the JSON of the API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Value {
    #[default]
    Empty,
    YesNo(bool),
    Date(NaiveDate),
    PartialDate(PartialDate),
    Id(Uuid),
    Text(String),
    List(Vec<String>),
}

/// A date of which parts may be unknown: many people tell the day and keep the year.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartialDate {
    pub year: Option<i16>,
    pub month: Option<i16>,
    pub day: Option<i16>,
}

impl PartialDate {
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// The earliest date it may stand for, as numbers that compare.
    pub fn earliest(self) -> (i16, i16, i16) {
        (self.year.unwrap_or(0), self.month.unwrap_or(1), self.day.unwrap_or(1))
    }
}

/// "3 May 2019", "May 2019", "3 May".
impl fmt::Display for PartialDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let month = self.month.and_then(|month| MONTHS.get(month as usize - 1));
        let parts = [
            self.day.map(|day| day.to_string()),
            month.map(|month| (*month).to_owned()),
            self.year.map(|year| year.to_string()),
        ];
        f.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(" "))
    }
}

pub const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

impl Value {
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Empty | Self::YesNo(false) => true,
            Self::Text(text) => text.is_empty(),
            Self::Id(id) => id.is_nil(),
            Self::PartialDate(date) => date.is_empty(),
            Self::List(list) => list.is_empty(),
            Self::YesNo(true) | Self::Date(_) => false,
        }
    }
}

impl From<PartialDate> for Value {
    fn from(date: PartialDate) -> Self {
        if date.is_empty() { Self::Empty } else { Self::PartialDate(date) }
    }
}

impl From<Value> for PartialDate {
    fn from(value: Value) -> Self {
        if let Value::PartialDate(date) = value { date } else { Self::default() }
    }
}

/// Conversions between a type of a record's fields and its variant, alone and as an `Option`.
macro_rules! convert {
    ($($type:ty => $variant:ident),* $(,)?) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(value)
            }
        }

        impl From<Option<$type>> for Value {
            fn from(value: Option<$type>) -> Self {
                value.map_or(Self::Empty, Self::$variant)
            }
        }

        impl From<Value> for $type {
            fn from(value: Value) -> Self {
                if let Value::$variant(value) = value { value } else { Self::default() }
            }
        }

        impl From<Value> for Option<$type> {
            fn from(value: Value) -> Self {
                if let Value::$variant(value) = value { Some(value) } else { None }
            }
        }
    )*};
}

convert! {
    String => Text,
    NaiveDate => Date,
    Uuid => Id,
    bool => YesNo,
    Vec<String> => List,
}
