//! Which frames of a traceback are the user's, by the file names of their code.

/// The beginning of the file name of every part of the engine that is written in Python.
pub(crate) const PART_PREFIX: &str = "<worker ";
/// The beginning of the file name of every cell.
const CELL_PREFIX: &str = "<cell ";

/// The file name of the cell of this number.
pub(crate) fn cell_file(number: u64) -> String {
    format!("{CELL_PREFIX}{number}>")
}

/// Whether each frame of a traceback is the user's. `files`: the file names of the frames' code, outermost first.
///
/// Frames of the engine's parts are not. If the outermost frame is one, neither are those between it and the cell: the
/// part has called them (asyncio's event loop, for example).
pub(crate) fn are_users(files: &[String]) -> Vec<bool> {
    let is_part = |file: &String| file.starts_with(PART_PREFIX);
    let first_cell = files.iter().position(|file| file.starts_with(CELL_PREFIX));
    let first = if files.first().is_some_and(is_part) { first_cell.unwrap_or(0) } else { 0 };
    files.iter().enumerate().map(|(at, file)| at >= first && !is_part(file)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(files: &[&str]) -> Vec<usize> {
        let files: Vec<String> = files.iter().map(|file| (*file).to_owned()).collect();
        are_users(&files).into_iter().enumerate().filter_map(|(at, is_users)| is_users.then_some(at)).collect()
    }

    #[test]
    fn a_cells_own_frames_are_kept() {
        assert_eq!(users(&[]), [0; 0]);
        assert_eq!(users(&["<cell 1>", "/lib/json.py", "<cell 1>"]), [0, 1, 2]);
    }

    #[test]
    fn frames_below_the_cell_go_where_a_part_is_outermost() {
        assert_eq!(users(&["<worker aio>", "/lib/asyncio/events.py", "<cell 2>", "/lib/json.py"]), [2, 3]);
    }

    #[test]
    fn a_part_in_the_middle_goes_and_what_it_calls_stays() {
        assert_eq!(users(&["<cell 1>", "<worker patches>", "/lib/select.py"]), [0, 2]);
        // The user's code calls a part before the cell's own frame: another thread's, for example.
        assert_eq!(users(&["/lib/threading.py", "<worker patches>", "<cell 1>"]), [0, 2]);
    }

    #[test]
    fn without_a_cell_all_but_the_parts_stay() {
        assert_eq!(users(&["<worker aio>", "/lib/asyncio/events.py"]), [1]);
    }

    #[test]
    fn a_cells_file_is_recognised() {
        assert_eq!(cell_file(7), "<cell 7>");
        assert_eq!(users(&["<worker aio>", "/lib/x.py", &cell_file(7)]), [2]);
    }
}
