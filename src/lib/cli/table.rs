//! Tables: aligned on a terminal, tab-separated elsewhere.

use super::{files, report};

/// Prints rows under a head; elsewhere than on a terminal there is no head, so scripts need not
/// skip it.
///
/// # Errors
/// When standard output cannot be written.
pub fn print(head: &[&str], rows: &[Vec<String>]) -> anyhow::Result<()> {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| report::escaped(cell)).collect())
        .collect();
    if !files::is_terminal() {
        let text: String = rows.iter().map(|row| row.join("\t") + "\n").collect();
        return files::write_stdout(&[text.as_bytes()]);
    }
    if rows.is_empty() {
        return Ok(());
    }
    files::write_stdout(&[aligned(head, &rows).as_bytes()])
}

fn aligned(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |at: usize| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(at))
            .map(|cell| cell.chars().count());
        cells
            .chain([head.get(at).map_or(0, |cell| cell.len())])
            .max()
            .unwrap_or(0)
    };
    let head = head.iter().map(|cell| (*cell).to_owned()).collect();
    let mut text = String::new();
    for row in [&head].into_iter().chain(rows) {
        let cells: Vec<String> = row
            .iter()
            .enumerate()
            .map(|(at, cell)| format!("{cell:<width$}", width = width(at)))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            vec!["bob".to_owned(), "0727".to_owned()],
            vec!["é".to_owned(), "-".to_owned()],
        ];
        assert_eq!(
            aligned(&["NAME", "ID"], &rows),
            "NAME  ID\nbob   0727\né     -\n"
        );
    }
}
