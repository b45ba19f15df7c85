//! Lists: a table on a terminal, else lines that are written while the list is made.

use super::table;

/// How many octets of lines are written at once.
const BLOCK: usize = 64 * 1024;

/// A list that goes to standard output.
#[derive(Debug)]
pub struct List {
    write: fn(&[u8]) -> anyhow::Result<()>,
    text: Vec<u8>,
    /// The rows of a table, which needs all of them for its widths.
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

    /// Whether it is a table, for people to read.
    #[must_use]
    pub fn is_table(&self) -> bool {
        self.rows.is_some()
    }

    /// Adds a row of a table, or its cells with tabs between them.
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

    /// Adds a line, which is not one of a table.
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

    /// Writes what was not written yet; `head` names the columns of a table.
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
