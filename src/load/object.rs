//! What a server of `parlor.v1.json` has sent, decoded as docs/protocol.md describes it. Shares
//! nothing with the server's `wire`, so that a fault there is found. Strict where the tester
//! judges: a field of the wrong type, or one that is there twice, is an error. Knows no connection.

use serde_core::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// An object with the fields that the tester judges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Object<'b> {
    /// `type`.
    pub(super) kind: Text<'b>,
    /// The tester's own ids are strings.
    pub(super) re: Option<Text<'b>>,
    pub(super) room: Option<Text<'b>>,
    pub(super) session: Option<Text<'b>>,
    pub(super) epoch: Option<Text<'b>>,
    pub(super) text: Option<Text<'b>>,
    pub(super) seq: Option<u32>,
    pub(super) after: Option<u32>,
    pub(super) to: Option<u32>,
    pub(super) rewound: Option<u32>,
    pub(super) recovered: Option<bool>,
    /// Of a page; the number of the same name is in answers that the tester does not ask for.
    pub(super) more: Option<bool>,
    pub(super) entries: Option<Vec<Self>>,
}

/// A string, borrowed where it has no escapes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Text<'b>(Cow<'b, str>);

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// One object, whole. `None`: the message is something else, or a field is not as described.
pub(super) fn decode(payload: &[u8]) -> Option<Object<'_>> {
    serde_json::from_slice(payload).ok()
}

impl<'b> Object<'b> {
    pub(super) fn is(&self, kind: &str) -> bool {
        self.kind.as_str() == kind
    }

    /// The id of the request that this answers; empty: it answers none.
    pub(super) fn re(&self) -> &str {
        self.re.as_ref().map_or("", Text::as_str)
    }

    fn read_field<M: MapAccess<'b>>(&mut self, name: &str, map: &mut M) -> Result<(), M::Error> {
        match name {
            "re" => put(&mut self.re, map),
            "room" => put(&mut self.room, map),
            "session" => put(&mut self.session, map),
            "epoch" => put(&mut self.epoch, map),
            "text" => put(&mut self.text, map),
            "seq" => put(&mut self.seq, map),
            "after" => put(&mut self.after, map),
            "to" => put(&mut self.to, map),
            "rewound" => put(&mut self.rewound, map),
            "recovered" => put(&mut self.recovered, map),
            "more" => put(&mut self.more, map),
            "entries" => put(&mut self.entries, map),
            _ => map.next_value::<IgnoredAny>().map(|_| ()),
        }
    }
}

fn put<'b, T: Deserialize<'b>, M: MapAccess<'b>>(
    field: &mut Option<T>,
    map: &mut M,
) -> Result<(), M::Error> {
    let value = map.next_value()?;
    match field.replace(value) {
        None => Ok(()),
        Some(_) => Err(M::Error::custom("a field is there twice")),
    }
}

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Borrowing;
        impl<'de> Visitor<'de> for Borrowing {
            type Value = Text<'de>;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        from.deserialize_str(Borrowing)
    }
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
                let mut object = Object::default();
                let mut kind = None;
                while let Some(name) = map.next_key::<Text<'de>>()? {
                    match name.as_str() {
                        "type" => put(&mut kind, &mut map)?,
                        name => object.read_field(name, &mut map)?,
                    }
                }
                object.kind = kind.ok_or_else(|| M::Error::custom("there is no type"))?;
                Ok(object)
            }
        }
        from.deserialize_map(Fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_in_any_order_and_others_are_skipped() {
        let text = r#"{"new":[{"type":1}],"seq":7,"text":"a\"b","type":"message","room":"den"}"#;
        let object = decode(text.as_bytes()).unwrap();
        assert!(object.is("message"));
        assert_eq!(object.seq, Some(7));
        assert_eq!(object.text.unwrap().as_str(), "a\"b");
        assert!(matches!(object.room.unwrap().0, Cow::Borrowed("den")));
    }

    #[test]
    fn page_has_its_entries() {
        let text = r#"{"type":"history","re":"p","more":true,
            "entries":[{"type":"message","seq":1},{"type":"kicked","seq":2}]}"#;
        let page = decode(text.as_bytes()).unwrap();
        assert_eq!((page.re(), page.more), ("p", Some(true)));
        let entries = page.entries.unwrap();
        assert_eq!(
            entries.iter().map(|e| e.seq).collect::<Vec<_>>(),
            [Some(1), Some(2)]
        );
    }

    #[test]
    fn what_the_protocol_does_not_allow_is_no_object() {
        for text in [
            "",
            "* welcome",
            "[]",
            "{}",
            r#"{"seq":1}"#,
            r#"{"type":1}"#,
            r#"{"type":"message","seq":"1"}"#,
            r#"{"type":"message","seq":-1}"#,
            r#"{"type":"message","seq":1,"seq":2}"#,
            r#"{"type":"message","type":"message"}"#,
            r#"{"type":"message"} {"#,
            r#"{"type":"message""#,
            r#"{"type":"history","entries":[1]}"#,
        ] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
        assert_eq!(decode(b"{\"type\":\"message\",\"text\":\"\xff\"}"), None);
    }
}
