//! The name in R source that a cursor is in or behind, as an expression that names it.

/// What a piece of source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A name, plain or within backticks.
    Name,
    /// An operator that is a function.
    Operator,
    /// What takes a component or a member: `$`, `@`, `::`, `:::`.
    Link,
    /// An opening parenthesis.
    Opening,
    /// Anything else.
    Other,
}

/// A token and where it is, in code points.
#[derive(Debug, Clone, Copy)]
struct Token {
    kind: Kind,
    start: usize,
    end: usize,
}

/// Operators, longer ones first.
const OPERATORS: [&str; 26] = [
    "<<-", "->>", "|>", "<-", "->", "<=", ">=", "==", "!=", "&&", "||", "[[", "+", "-", "*", "/", "^", "<", ">", "=",
    "!", "&", "|", "~", "?", ":",
];

/// The tokens of a source.
fn tokens(source: &[char]) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < source.len() {
        let (kind, length) = token(&source[at..]);
        tokens.push(Token { kind, start: at, end: at + length });
        at += length;
    }
    tokens
}

/// The first token and its length.
fn token(rest: &[char]) -> (Kind, usize) {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_');
    let begins = |text: &str| text.chars().count() <= rest.len() && text.chars().zip(rest).all(|(a, b)| a == *b);
    let up_to = |end: char| rest[1..].iter().position(|&c| c == end).map(|length| length + 2);
    match rest[0] {
        '#' => (Kind::Other, rest.iter().position(|&c| c == '\n').unwrap_or(rest.len())),
        quote @ ('"' | '\'') => {
            let mut length = 1;
            while length < rest.len() && rest[length] != quote {
                length += if rest[length] == '\\' { 2 } else { 1 };
            }
            (Kind::Other, (length + 1).min(rest.len()))
        }
        '`' => up_to('`').map_or((Kind::Other, 1), |length| (Kind::Name, length)),
        '%' => match up_to('%') {
            Some(length) if !rest[..length].contains(&'\n') => (Kind::Operator, length),
            _ => (Kind::Other, 1),
        },
        c if is_name(c) => {
            let length = rest.iter().position(|&c| !is_name(c)).unwrap_or(rest.len());
            let is_number = c.is_ascii_digit();
            (if is_number { Kind::Other } else { Kind::Name }, length)
        }
        '$' | '@' => (Kind::Link, 1),
        '(' => (Kind::Opening, 1),
        _ if begins(":::") => (Kind::Link, 3),
        _ if begins("::") => (Kind::Link, 2),
        _ => match OPERATORS.iter().find(|operator| begins(operator)) {
            Some(operator) => (Kind::Operator, operator.len()),
            None => (Kind::Other, 1),
        },
    }
}

/// The name around the cursor with what it is a component or a member of, each part within backticks; empty when there is none,
/// or when it is a component of something that only running code gives. `cursor` counts code points.
pub(crate) fn name_at(code: &str, cursor: usize) -> String {
    let source: Vec<char> = code.chars().collect();
    let tokens = tokens(&source);
    let is_named = |token: &Token| matches!(token.kind, Kind::Name | Kind::Operator);
    let inside = tokens.iter().position(|token| token.start <= cursor && cursor < token.end && is_named(token));
    let before = tokens.iter().position(|token| token.end == cursor);
    let Some(mut at) = (match (inside, before) {
        // A name before an operator is meant rather than that.
        (Some(inside), Some(before)) if tokens[inside].kind == Kind::Operator && tokens[before].kind == Kind::Name => {
            Some(before)
        }
        (Some(inside), _) => Some(inside),
        // Behind an opening parenthesis the function is meant.
        (None, Some(before)) if tokens[before].kind == Kind::Opening => before.checked_sub(1),
        (None, before) => before,
    }) else {
        return String::new();
    };
    if !is_named(&tokens[at]) {
        return String::new();
    }
    let text = |token: &Token| {
        let text: String = source[token.start..token.end].iter().collect();
        if text.starts_with('`') { text } else { format!("`{text}`") }
    };
    let mut name = text(&tokens[at]);
    while at > 0 && tokens[at].kind == Kind::Name && tokens[at - 1].kind == Kind::Link {
        let link: String = source[tokens[at - 1].start..tokens[at - 1].end].iter().collect();
        match at.checked_sub(2) {
            Some(owner) if tokens[owner].kind == Kind::Name => {
                name = text(&tokens[owner]) + &link + &name;
                at = owner;
            }
            _ => return String::new(),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_at_a_cursor() {
        assert_eq!(name_at("mean(x)", 2), "`mean`");
        assert_eq!(name_at("mean(x)", 4), "`mean`");
        assert_eq!(name_at("mean(", 5), "`mean`");
        assert_eq!(name_at("stats::sd(x)", 9), "`stats`::`sd`");
        assert_eq!(name_at("été + 1", 3), "`été`");
        assert_eq!(name_at("a b", 3), "`b`");
        assert_eq!(name_at("x 12", 3), "");
        assert_eq!(name_at("'mean' # mean", 3), "");
        assert_eq!(name_at("", 0), "");
    }

    #[test]
    fn components_are_named_with_what_they_belong_to() {
        assert_eq!(name_at("df$t", 4), "`df`$`t`");
        assert_eq!(name_at("a$b@c + 1", 5), "`a`$`b`@`c`");
        assert_eq!(name_at("a$b@c", 0), "`a`");
        assert_eq!(name_at("f(x)$t", 6), "");
    }

    #[test]
    fn operators_and_names_in_backticks_are_names() {
        assert_eq!(name_at("`my var` + 1", 3), "`my var`");
        assert_eq!(name_at("a + b", 2), "`+`");
        assert_eq!(name_at("a+b", 1), "`a`");
        assert_eq!(name_at("a %in% b", 4), "`%in%`");
        assert_eq!(name_at("a <- b", 4), "`<-`");
    }
}
