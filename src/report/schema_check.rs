//! Checks a JSON document against one of the schemas in docs/. Knows the keywords those use and refuses every other, so
//! that nothing in a schema goes unchecked.

use serde_json::Value;

/// Every place where the document departs from the schema.
pub(super) fn departures(schema: &Value, document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, schema, document, "$", &mut found);
    found
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    for (keyword, rule) in schema.as_object().unwrap() {
        let holds = match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" => true,
            "$ref" => {
                let target = root.pointer(rule.as_str().unwrap().trim_start_matches('#')).unwrap();
                check(root, target, value, at, found);
                true
            }
            "type" => types(rule).iter().any(|name| is_of(name, value)),
            "enum" => rule.as_array().unwrap().contains(value),
            "pattern" => {
                value.as_str().is_none_or(|text| regex::Regex::new(rule.as_str().unwrap()).unwrap().is_match(text))
            }
            "format" => value.as_str().is_none_or(|text| {
                assert_eq!(rule, "date-time");
                time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).is_ok()
            }),
            "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|number| number <= rule.as_f64().unwrap()),
            "minItems" => value.as_array().is_none_or(|items| items.len() as u64 >= rule.as_u64().unwrap()),
            "maxItems" => value.as_array().is_none_or(|items| items.len() as u64 <= rule.as_u64().unwrap()),
            "anyOf" => rule.as_array().unwrap().iter().any(|either| {
                let mut departures = Vec::new();
                check(root, either, value, at, &mut departures);
                departures.is_empty()
            }),
            "required" => rule.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some()),
            "properties" => {
                for (name, rule) in rule.as_object().unwrap() {
                    if let Some(value) = value.get(name) {
                        check(root, rule, value, &format!("{at}.{name}"), found);
                    }
                }
                // The schemas let fields be added; ours are all to be described.
                value.as_object().is_none_or(|fields| fields.keys().all(|name| rule.get(name).is_some()))
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(root, rule, item, &format!("{at}[{index}]"), found);
                }
                true
            }
            "propertyNames" | "additionalProperties" => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    let name_itself = Value::String(name.clone());
                    let checked = if keyword == "propertyNames" { &name_itself } else { value };
                    check(root, rule, checked, &format!("{at}.{name}"), found);
                }
                true
            }
            other => panic!("the keyword {other} is not known here"),
        };
        if !holds {
            found.push(format!("{at}: {value} breaks {keyword} {rule}"));
        }
    }
}

fn types(rule: &Value) -> Vec<&str> {
    match rule {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn is_of(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_u64() || value.is_i64(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}
