//! P9: the prompt of `input()` is said once, and whoever was put in the place of `sys.stdout` gets it all the same.

use crate::support::pythons::for_each_python;

/// What is put in the place of `sys.stdout`, what the wait says as its prompt, and what the cell has printed at its end.
const REPLACED: [(&str, &str, &str); 10] = [
    ("io.TextIOWrapper(old.buffer, encoding='utf-8')", "é? ", ""),
    ("io.TextIOWrapper(old.buffer, encoding='latin-1')", "", "é? "),
    ("Tee(old)", "é? ", ""),
    ("Tee(old, copy)", "é? ", ""),
    ("Tee(copy)", "é? ", ""),
    ("Tee(sys.stderr)", "é? ", ""),
    ("Tee(old, change=str.upper)", "", "É? "),
    ("Tee(old, change=lambda text: text + '!')", "", "é? !"),
    ("Tee(old, change=lambda text: text[:1])", "", "é"),
    ("Tee(old, change=lambda text: '> ' + text)", "", "> é? "),
];

#[test]
fn p9_a_prompt_through_a_replaced_stdout_is_said_once() {
    for_each_python(|s, _| {
        s.says(
            "import io, sys\nold = sys.stdout\nclass Tee:\n    def __init__(self, *to, change=str): self.to, self.change = to, change\n    \
             def write(self, text):\n        for each in self.to: each.write(self.change(text))\n        return len(text)\n    \
             def flush(self):\n        for each in self.to: each.flush()",
            "",
        );
        for (made, prompt, printed) in REPLACED {
            let id = s.begin(&format!(
                "copy = io.StringIO(); sys.stdout = {made}; new = sys.stdout\ntry: answer = input('é? ')\nfinally: sys.stdout = old"
            ));
            let wait = s.wait_for(prompt);
            s.answer(&wait, "yes");
            let cell = s.finish(&id).ok();
            let bytes = cell.texts.iter().filter_map(|text| text.data_b64.as_deref()).collect::<String>();
            let all = if bytes == "6T8g" { "é? ".into() } else { cell.stdout + &cell.stderr };
            assert_eq!(all, printed, "{made}");
            let is_copied = made.contains("copy");
            s.says("answer, copy.getvalue()", &format!("('yes', '{}')\n", if is_copied { "é? " } else { "" }));
            s.says("if isinstance(new, io.TextIOWrapper): new.detach()\nNone", "");
        }
        // What was printed before comes before, whoever held it back; a `write` of the user's own gets the prompt too.
        let id = s.begin("sys.stdout = io.TextIOWrapper(old.buffer, encoding='utf-8')\nprint('before', end='')\ntry: input('q? ')\nfinally: sys.stdout.detach(); sys.stdout = old");
        let wait = s.wait_for("q? ");
        s.until_printed(&id, "before");
        s.answer(&wait, "yes");
        assert_eq!(s.finish(&id).ok().stdout, "before");
        let id = s.begin("write = old.write; seen = []\nold.write = lambda text: seen.append(text) or write(text)\ntry: answer = input('r? ')\nfinally: del old.write");
        let wait = s.wait_for("r? ");
        s.answer(&wait, "yes");
        assert_eq!(s.finish(&id).ok().stdout, "");
        s.says("seen", "['r? ']\n");
    });
}

#[test]
fn p9_a_prompt_that_cannot_be_written_is_an_error_of_the_cell() {
    for_each_python(|s, _| {
        let code = "import sys\nold = sys.stdout\nclass Bad:\n    def write(self, text): old.write(text[:1]); raise ValueError('full')\n    def flush(self): pass\n\
                    sys.stdout = Bad()\ntry: input('p? ')\nfinally: sys.stdout = old";
        assert_eq!(s.run(code).failed("ValueError").stdout, "p");
        s.says("print('p? ')", "p? \n");
    });
}
