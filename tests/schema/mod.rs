//! Validates objects against docs/protocol.schema.json, for all tests that speak `parlor.v1.json`.
//! Knows the words of JSON Schema 2020-12 that the schema uses, and panics at any other. That it
//! reads them as the standard has them is tested with Python's jsonschema
//! (tests/clients/schema.py).
#![allow(dead_code, reason = "each test binary uses a part")]

use serde_json::{Map, Value};

/// The schema of the protocol.
pub(crate) struct Schema {
    root: Value,
}

impl Schema {
    pub(crate) fn new() -> Self {
        let text = include_str!("../../docs/protocol.schema.json");
        let root = serde_json::from_str(text).expect("the schema is JSON");
        Self { root }
    }

    /// Panics if this is no object that the server sends.
    #[track_caller]
    pub(crate) fn check_sent(&self, message: &str) {
        self.check(message, "sent");
    }

    /// Panics if this is no object that a client sends.
    #[track_caller]
    pub(crate) fn check_request(&self, message: &str) {
        self.check(message, "request");
    }

    #[track_caller]
    fn check(&self, message: &str, definition: &str) {
        if let Err(why) = self.find(message, definition) {
            panic!("{why}");
        }
    }

    /// What is wrong with a message as `sent` or `request`.
    pub(crate) fn find(&self, message: &str, definition: &str) -> Result<(), String> {
        let object =
            serde_json::from_str(message).map_err(|why| format!("no JSON ({why}): {message}"))?;
        self.find_in(&object, definition)
    }

    /// What is wrong with an object as `sent` or `request`.
    pub(crate) fn find_in(&self, object: &Value, definition: &str) -> Result<(), String> {
        self.validate(object, &self.root["$defs"][definition])
            .map_err(|why| format!("not in the schema as {definition}: {why}: {object}"))
    }

    /// What is wrong with a value, with the path to it.
    pub(crate) fn validate(&self, value: &Value, schema: &Value) -> Result<(), String> {
        let words = schema.as_object().ok_or("a schema is an object")?;
        for (word, rule) in words {
            self.apply(value, word, rule, words)
                .map_err(|why| format!("{word}: {why}"))?;
        }
        Ok(())
    }

    fn apply(
        &self,
        value: &Value,
        word: &str,
        rule: &Value,
        words: &Map<String, Value>,
    ) -> Result<(), String> {
        let number = || integer(rule).expect("a number");
        match word {
            "description" => Ok(()),
            "$ref" => {
                let path = rule.as_str().expect("a reference");
                let path = path.strip_prefix('#').expect("in the same file");
                let schema = self
                    .root
                    .pointer(path)
                    .expect("a reference leads somewhere");
                self.validate(value, schema)
            }
            "oneOf" => self.one_of(value, rule.as_array().expect("a list")),
            "const" => holds(value == rule, value),
            "enum" => holds(rule.as_array().expect("a list").contains(value), value),
            "type" => {
                let is = match rule.as_str().expect("a type") {
                    "object" => value.is_object(),
                    "array" => value.is_array(),
                    "string" => value.is_string(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_i64() || value.is_u64(),
                    other => panic!("the schema has the type {other}"),
                };
                holds(is, value)
            }
            "minimum" => holds(integer(value).is_none_or(|n| n >= number()), value),
            "maximum" => holds(integer(value).is_none_or(|n| n <= number()), value),
            "minLength" => holds(length(value).is_none_or(|n| n >= number()), value),
            "maxLength" => holds(length(value).is_none_or(|n| n <= number()), value),
            "maxItems" => {
                let items = value.as_array().map(|items| items.len() as i128);
                holds(items.is_none_or(|n| n <= number()), value)
            }
            "items" => {
                for item in value.as_array().into_iter().flatten() {
                    self.validate(item, rule)?;
                }
                Ok(())
            }
            "properties" => {
                for (name, schema) in rule.as_object().expect("an object") {
                    if let Some(value) = value.get(name) {
                        self.validate(value, schema)
                            .map_err(|why| format!("{name}: {why}"))?;
                    }
                }
                Ok(())
            }
            "required" => {
                for name in rule.as_array().expect("a list") {
                    let name = name.as_str().expect("a name");
                    holds(value.get(name).is_some(), &Value::from(name))?;
                }
                Ok(())
            }
            "additionalProperties" => {
                assert_eq!(*rule, Value::Bool(false));
                let known = words["properties"].as_object().expect("an object");
                for name in value.as_object().into_iter().flat_map(Map::keys) {
                    holds(known.contains_key(name), &Value::from(name.as_str()))?;
                }
                Ok(())
            }
            other => panic!("the schema has the word {other}"),
        }
    }

    /// Such a schema cannot fit. Nearly all of a list are found so, without a path or an error.
    fn is_of_another_type(&self, value: &Value, schema: &Value) -> bool {
        let path = schema["$ref"]
            .as_str()
            .and_then(|path| path.strip_prefix('#'));
        let schema = path
            .and_then(|path| self.root.pointer(path))
            .unwrap_or(schema);
        let wanted = &schema["properties"]["type"]["const"];
        wanted.is_string() && value.get("type").is_some_and(|found| found != wanted)
    }

    /// Exactly one of the schemas must fit. Where several are of the value's type and none fits,
    /// the error is that of the last of them.
    fn one_of(&self, value: &Value, schemas: &[Value]) -> Result<(), String> {
        let mut fitting = 0;
        let mut nearest = String::from("no schema fits");
        for schema in schemas {
            if self.is_of_another_type(value, schema) {
                continue;
            }
            match self.validate(value, schema) {
                Ok(()) => fitting += 1,
                Err(why) => nearest = why,
            }
        }
        match fitting {
            0 => Err(nearest),
            1 => Ok(()),
            _ => Err(format!("{fitting} schemas fit")),
        }
    }
}

fn holds(condition: bool, value: &Value) -> Result<(), String> {
    if condition {
        Ok(())
    } else {
        Err(value.to_string())
    }
}

fn integer(value: &Value) -> Option<i128> {
    let signed = value.as_i64().map(i128::from);
    signed.or_else(|| value.as_u64().map(i128::from))
}

/// Characters of a string.
fn length(value: &Value) -> Option<i128> {
    value.as_str().map(|text| text.chars().count() as i128)
}

/// The examples of docs/protocol.md: one object a line, and whether it is a request.
pub(crate) fn examples() -> Vec<(bool, &'static str)> {
    let text = include_str!("../../docs/protocol.md");
    let mut examples = Vec::new();
    let mut block = None;
    for line in text.lines() {
        match (block, line) {
            (None, "```json") => block = Some(false),
            (None, "```json request") => block = Some(true),
            (None, _) => {}
            (Some(_), "```") => block = None,
            (Some(is_request), object) => examples.push((is_request, object)),
        }
    }
    assert!(examples.len() > 30, "the examples are not where they were");
    examples
}
