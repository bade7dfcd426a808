//! Values: what each kind of key takes, how it is typed, and how it is shown.

use serde_json::{Map, Value, json};

use super::key::{Field, Key, Kind};

/// What stands where a secret would be.
pub(crate) const HIDDEN: &str = "***";

/// Begins a value that says where a secret is kept.
pub(crate) const REFERENCE: &str = "secret://";

impl Kind {
    /// Takes a value as a file gives it; the error says what was expected.
    pub(crate) fn take(self, value: Value) -> Result<Value, String> {
        let fits = match (self, &value) {
            (Self::Text | Self::Address | Self::Path, Value::String(text)) => !text.is_empty(),
            (Self::Flag, Value::Bool(_)) => true,
            (Self::Whole(least, most), Value::Number(number)) => {
                number.as_u64().is_some_and(|number| (least..=most).contains(&number))
            }
            (Self::Seconds, Value::Number(number)) => {
                number.as_f64().is_some_and(|number| number > 0.0 && number <= LONGEST)
            }
            (Self::Factor, Value::Number(number)) => {
                number.as_f64().is_some_and(|number| (0.0..=LONGEST).contains(&number))
            }
            (Self::Word(words), Value::String(word)) => words.contains(&word.as_str()),
            (Self::List | Self::Paths, Value::Array(items)) => {
                items.iter().all(|item| item.as_str().is_some_and(|text| !text.is_empty()))
            }
            (Self::Tables(fields), Value::Array(items)) => {
                items.iter().try_for_each(|item| table(fields, item))?;
                true
            }
            _ => false,
        };
        if fits { Ok(value) } else { Err(self.expected()) }
    }

    /// Takes a value as a variable, a flag or an old file gives it: as text.
    pub(crate) fn parse(self, text: &str) -> Result<Value, String> {
        let text = text.trim();
        let value = match self {
            Self::Text | Self::Address | Self::Path => Value::String(text.to_owned()),
            Self::Word(words) => {
                let found = words.iter().find(|word| word.eq_ignore_ascii_case(text));
                Value::String((*found.unwrap_or(&text)).to_owned())
            }
            Self::Flag => match text.to_ascii_lowercase().as_str() {
                "1" | "true" | "yes" | "on" => Value::Bool(true),
                "0" | "false" | "no" | "off" => Value::Bool(false),
                _ => return Err(self.expected()),
            },
            Self::Whole(..) => match text.parse::<u64>() {
                Ok(number) => json!(number),
                Err(_) => return Err(self.expected()),
            },
            Self::Seconds | Self::Factor => match (text.parse::<u64>(), text.parse::<f64>()) {
                (Ok(whole), _) => json!(whole),
                (_, Ok(number)) => json!(number),
                _ => return Err(self.expected()),
            },
            Self::List | Self::Paths if !text.starts_with('[') => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                items.map(|item| Value::String(item.to_owned())).collect()
            }
            Self::List | Self::Paths | Self::Tables(_) => {
                serde_json::from_str(text).map_err(|_| self.expected())?
            }
        };
        self.take(value)
    }

    /// The value of a key nobody gave one.
    pub(super) const fn nothing(self) -> Value {
        match self {
            Self::List | Self::Paths | Self::Tables(_) => Value::Array(Vec::new()),
            _ => Value::Null,
        }
    }

    /// What it takes, in words.
    pub(crate) fn expected(self) -> String {
        match self {
            Self::Text => "a text".to_owned(),
            Self::Address => "an address".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Whole(least, u64::MAX) => format!("a whole number from {least}"),
            Self::Whole(least, most) => format!("a whole number from {least} to {most}"),
            Self::Seconds => "seconds above 0".to_owned(),
            Self::Factor => "a number from 0".to_owned(),
            Self::Word(words) => words.join(", "),
            Self::List => "a list of texts".to_owned(),
            Self::Paths => "a list of paths".to_owned(),
            Self::Tables(fields) => {
                let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
                format!("a list of tables with {}", names.join(", "))
            }
        }
    }

    /// Its JSON Schema.
    pub(crate) fn schema(self) -> Value {
        match self {
            Self::Text | Self::Address | Self::Path => json!({"type": "string", "minLength": 1}),
            Self::Flag => json!({"type": "boolean"}),
            Self::Whole(least, u64::MAX) => json!({"type": "integer", "minimum": least}),
            Self::Whole(least, most) => {
                json!({"type": "integer", "minimum": least, "maximum": most})
            }
            Self::Seconds => json!({"type": "number", "exclusiveMinimum": 0, "maximum": LONGEST}),
            Self::Factor => json!({"type": "number", "minimum": 0, "maximum": LONGEST}),
            Self::Word(words) => json!({ "enum": words }),
            Self::List | Self::Paths => {
                json!({"type": "array", "items": {"type": "string", "minLength": 1}})
            }
            Self::Tables(fields) => {
                let mut properties = Map::new();
                for field in fields {
                    let mut schema = field.kind.schema();
                    schema["description"] = json!(field.sentence);
                    properties.insert(field.name.to_owned(), schema);
                }
                let required: Vec<&str> =
                    fields.iter().filter(|it| it.required).map(|it| it.name).collect();
                json!({"type": "array", "items": {
                    "type": "object", "properties": properties, "required": required,
                    "additionalProperties": false,
                }})
            }
        }
    }

    /// Whether higher layers add to what lower ones say; flags do so for lists.
    pub(crate) const fn is_list(self) -> bool {
        matches!(self, Self::List | Self::Paths | Self::Tables(_))
    }
}

/// The longest time and the largest factor: a year in seconds, and a little.
const LONGEST: f64 = 31_622_400.0;

fn table(fields: &[Field], item: &Value) -> Result<(), String> {
    let Value::Object(object) = item else { return Err("a table".to_owned()) };
    if let Some(odd) = object.keys().find(|name| fields.iter().all(|field| field.name != **name)) {
        let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
        return Err(format!("no `{odd}`, but {}", names.join(", ")));
    }
    for field in fields {
        match object.get(field.name) {
            Some(value) => {
                field.kind.take(value.clone()).map_err(|it| format!("`{}`: {it}", field.name))?;
            }
            None if field.required => return Err(format!("a `{}` in each", field.name)),
            None => {}
        }
    }
    Ok(())
}

/// The value as it may be shown to anybody.
pub(crate) fn shown(key: &Key, value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| shown(key, item)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                let value = match value {
                    Value::String(text) if text.contains("://") => json!(without_password(text)),
                    other => other.clone(),
                };
                (name.clone(), value)
            })
            .collect(),
        // Where a secret is kept is none.
        Value::String(text) if text.starts_with(REFERENCE) => value.clone(),
        Value::String(_) if key.secret => json!(HIDDEN),
        Value::String(text) if text.contains("://") => json!(without_password(text)),
        other => other.clone(),
    }
}

/// An address without what stands between the scheme and the host, and without values behind it
/// whose names sound like secrets.
pub(crate) fn without_password(address: &str) -> String {
    let hidden = match address.split_once("://") {
        // A password may hold anything if nobody encoded it, so the last `@` counts.
        Some((scheme, rest)) => match rest.rfind('@') {
            Some(at) => format!("{scheme}://…{}", &rest[at..]),
            None => address.to_owned(),
        },
        None => address.to_owned(),
    };
    let Some((place, query)) = hidden.split_once('?') else { return hidden };
    let parts: Vec<String> = query
        .split('&')
        .map(|part| match part.split_once('=') {
            Some((name, _)) if sounds_secret(name) => format!("{name}={HIDDEN}"),
            _ => part.to_owned(),
        })
        .collect();
    format!("{place}?{}", parts.join("&"))
}

fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["password", "passwd", "secret", "token", "key", "sig"].iter().any(|it| name.contains(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_becomes_a_value_of_its_kind_or_says_what_was_expected() {
        assert_eq!(Kind::Flag.parse("ON"), Ok(json!(true)));
        assert_eq!(Kind::Flag.parse("maybe"), Err("true or false".to_owned()));
        assert_eq!(Kind::Whole(1, 9).parse(" 9 "), Ok(json!(9)));
        assert_eq!(Kind::Whole(1, 9).parse("10"), Err("a whole number from 1 to 9".to_owned()));
        assert_eq!(Kind::Seconds.parse("1.5"), Ok(json!(1.5)));
        for wrong in ["0", "-1", "nan", "inf", "1e99", "soon"] {
            assert!(Kind::Seconds.parse(wrong).is_err(), "{wrong}");
        }
        assert_eq!(Kind::Word(&["strict", "relaxed"]).parse("Strict"), Ok(json!("strict")));
        assert_eq!(Kind::List.parse("a, b,,"), Ok(json!(["a", "b"])));
        assert_eq!(Kind::List.parse("[\"a,b\"]"), Ok(json!(["a,b"])));
    }

    #[test]
    fn a_table_with_a_strange_or_missing_field_is_refused() {
        const FIELDS: &[Field] = &[
            Field { name: "on", kind: Kind::Text, required: true, sentence: "When." },
            Field { name: "timeout", kind: Kind::Seconds, required: false, sentence: "How long." },
        ];
        let kind = Kind::Tables(FIELDS);
        assert!(kind.take(json!([{"on": "pre"}])).is_ok());
        for (wrong, says) in [
            (json!([{"on": "pre", "tiemout": 1}]), "tiemout"),
            (json!([{"timeout": 1}]), "a `on` in each"),
            (json!([{"on": "pre", "timeout": "1"}]), "`timeout`: seconds above 0"),
        ] {
            let error = kind.take(wrong.clone()).expect_err("wrong");
            assert!(error.contains(says), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_password_in_an_address_is_not_shown() {
        for (address, shown) in [
            ("postgres://me:CANARY@db.corp/flow", "postgres://…@db.corp/flow"),
            ("postgres://me:CAN/ARY@db.corp/flow", "postgres://…@db.corp/flow"),
            ("postgres://db/x?user=me&password=CANARY", "postgres://db/x?user=me&password=***"),
            ("sqlite:a/b.db", "sqlite:a/b.db"),
            ("https://u@x:CAN/ARY@d", "https://…@d"),
        ] {
            assert_eq!(without_password(address), shown);
        }
    }
}
