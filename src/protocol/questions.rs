//! The requests that the interpreter answers: what they ask and what is answered, the same for every language.

use super::{Code, Refusal, Rpc};
use serde_json::{Value, json};

/// The requests that an engine answers besides the core's.
pub const ENGINE_REQUESTS: [&str; 4] = ["is_complete", "complete", "inspect", "variables"];

/// What a request asks of the interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question<'a> {
    /// Whether this is a whole cell.
    IsComplete(&'a str),
    /// What the name before the place may go on with.
    Complete(Place<'a>),
    /// What is known of the name at the place.
    Inspect(Place<'a>),
    /// What names are bound.
    Variables,
}

/// A place in a piece of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The source.
    pub code: &'a str,
    /// How many Unicode code points are before the place; at most those of `code`.
    pub cursor: usize,
}

impl<'a> Question<'a> {
    /// What `rpc` asks. Parameters of the wrong kind are refused (-32602), and so is any other method (-32601).
    pub fn of(rpc: &'a Rpc) -> Result<Self, Refusal> {
        if !rpc.params.is_object() {
            return Err(Refusal::new(Code::BadParams, "`params` is an object"));
        }
        match rpc.method.as_str() {
            "is_complete" => Ok(Question::IsComplete(code(&rpc.params)?)),
            "complete" => Ok(Question::Complete(place(&rpc.params)?)),
            "inspect" => Ok(Question::Inspect(place(&rpc.params)?)),
            "variables" => Ok(Question::Variables),
            other => Err(Refusal::new(Code::UnknownMethod, format!("unknown method {other:?}"))),
        }
    }
}

fn code(params: &Value) -> Result<&str, Refusal> {
    let code = params.get("code").and_then(Value::as_str);
    code.ok_or_else(|| Refusal::new(Code::BadParams, "`code` is a string"))
}

/// Without `cursor` the place is the end.
fn place(params: &Value) -> Result<Place<'_>, Refusal> {
    let code = code(params)?;
    let end = code.chars().count();
    let cursor = match params.get("cursor") {
        None => Some(end),
        Some(cursor) => cursor.as_u64().and_then(|cursor| usize::try_from(cursor).ok()).filter(|&cursor| cursor <= end),
    };
    let wrong = "`cursor` is a number of code points, at most those of `code`; without it the end is meant";
    cursor.map(|cursor| Place { code, cursor }).ok_or_else(|| Refusal::new(Code::BadParams, wrong))
}

/// Whether a piece of source is a whole cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completeness {
    /// It is.
    Complete,
    /// More is to come; the next line begins with so much white space.
    Incomplete {
        /// The white space.
        indent: String,
    },
    /// No more of it would make it whole.
    Invalid,
}

impl Completeness {
    /// The result of `is_complete`.
    pub fn result(&self) -> Value {
        match self {
            Completeness::Complete => json!({"status": "complete"}),
            Completeness::Incomplete { indent } => json!({"status": "incomplete", "indent": indent}),
            Completeness::Invalid => json!({"status": "invalid"}),
        }
    }
}

/// The result of `complete`: each match with its type, and the code points that a match replaces.
pub fn completions(matches: impl IntoIterator<Item = (String, String)>, replaced: std::ops::Range<usize>) -> Value {
    let matches: Vec<_> = matches.into_iter().map(|(text, kind)| json!({"text": text, "type": kind})).collect();
    json!({"matches": matches, "start": replaced.start, "end": replaced.end})
}

/// The result of `inspect`: plain text, or nothing found.
pub fn inspection(text: Option<&str>) -> Value {
    match text {
        Some(text) => json!({"found": true, "data": {"text/plain": text}}),
        None => json!({"found": false, "data": {}}),
    }
}

/// The result of `variables`: names with type and summary.
pub fn variables(found: impl IntoIterator<Item = (String, String, String)>) -> Value {
    let variables: Vec<_> = found
        .into_iter()
        .map(|(name, kind, summary)| json!({"name": name, "type": kind, "summary": summary}))
        .collect();
    json!({ "variables": variables })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rpc(method: &str, params: Value) -> Rpc {
        Rpc { id: Value::Null, method: method.to_owned(), params }
    }

    #[test]
    fn a_cursor_counts_code_points_and_is_the_end_when_absent() {
        let asked = |params| match Question::of(&rpc("complete", params)) {
            Ok(Question::Complete(place)) => Ok(place.cursor),
            Ok(other) => panic!("{other:?}"),
            Err(refusal) => Err(refusal.code),
        };
        assert_eq!(asked(json!({"code": "été"})), Ok(3));
        assert_eq!(asked(json!({"code": "été", "cursor": 2})), Ok(2));
        for cursor in [json!(4), json!(-1), json!(0.5), json!("0"), json!(null)] {
            assert_eq!(asked(json!({"code": "été", "cursor": cursor})), Err(Code::BadParams));
        }
        assert_eq!(asked(json!({"cursor": 0})), Err(Code::BadParams));
    }

    #[test]
    fn what_is_none_is_refused() {
        assert_eq!(Question::of(&rpc("variables", json!([]))).unwrap_err().code, Code::BadParams);
        assert_eq!(Question::of(&rpc("explode", json!({}))).unwrap_err().code, Code::UnknownMethod);
        assert_eq!(Question::of(&rpc("variables", json!({}))), Ok(Question::Variables));
    }

    #[test]
    fn only_what_is_incomplete_has_an_indent() {
        assert_eq!(Completeness::Invalid.result(), json!({"status": "invalid"}));
        let result = Completeness::Incomplete { indent: "  ".into() }.result();
        assert_eq!(result, json!({"status": "incomplete", "indent": "  "}));
    }
}
