//! Lists: a table on a terminal; elsewhere lines that are written while the list is made.

use super::table;

/// Lines are written in blocks of this size, in octets.
const BLOCK: usize = 64 * 1024;

/// A list for standard output.
#[derive(Debug)]
pub struct List {
    write: fn(&[u8]) -> anyhow::Result<()>,
    text: Vec<u8>,
    /// The rows of a table: column widths depend on all of them.
    rows: Option<Vec<Vec<String>>>,
}

impl List {
    /// Starts a table, or lines that `write` writes.
    #[must_use]
    pub fn new(is_table: bool, write: fn(&[u8]) -> anyhow::Result<()>) -> Self {
        Self {
            write,
            text: Vec::new(),
            rows: is_table.then(Vec::new),
        }
    }

    /// Whether it is a table for a terminal.
    #[must_use]
    pub fn is_table(&self) -> bool {
        self.rows.is_some()
    }

    /// Adds a row to the table; in a list of lines, its cells separated by tabs.
    ///
    /// # Errors
    /// When a block cannot be written.
    pub fn row(&mut self, cells: Vec<String>) -> anyhow::Result<()> {
        match &mut self.rows {
            Some(rows) => {
                rows.push(cells);
                Ok(())
            }
            None => self.line(cells.join("\t").as_bytes(), b'\n'),
        }
    }

    /// Adds a line to a list of lines; `end` is a newline or NUL.
    ///
    /// # Errors
    /// When a block cannot be written.
    pub fn line(&mut self, line: &[u8], end: u8) -> anyhow::Result<()> {
        self.text.extend(line);
        self.text.push(end);
        if self.text.len() >= BLOCK {
            (self.write)(&std::mem::take(&mut self.text))?;
        }
        Ok(())
    }

    /// Writes the lines so far, for what counts once they are read; a table has to wait.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn flush(&mut self) -> anyhow::Result<()> {
        (self.write)(&std::mem::take(&mut self.text))
    }

    /// Writes the rest; `head` names the columns of a table.
    ///
    /// # Errors
    /// When standard output cannot be written.
    pub fn finish(self, head: &[&str]) -> anyhow::Result<()> {
        match self.rows {
            Some(rows) => table::print(head, &rows),
            None => (self.write)(&self.text),
        }
    }
}
