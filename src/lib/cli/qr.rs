//! Codes that phones read: short text as a QR code (ISO/IEC 18004), drawn with characters or as an image.

use std::path::Path;

use qrcode::{Color, EcLevel, QrCode};

use super::errors::NoCode;
use super::files::{ObjectOutput, OutputForm};
use super::{files, report};

/// The light margin that readers need on every side, in modules (ISO/IEC 18004 §6.3.8).
const QUIET: usize = 4;

/// The pixels of an image that a module is wide and high.
const SCALE: usize = 8;

/// Sets black on white by their places among 256 colours, which no theme of a terminal changes, unlike the first 16.
const BLACK_ON_WHITE: &str = "\x1b[38;5;16;48;5;231m";
const RESET: &str = "\x1b[0m";

/// A QR code with its margin: a square of dark and light modules.
pub struct Code {
    /// The modules of a side.
    width: usize,
    /// Whether each is dark, row by row.
    dark: Vec<bool>,
}

impl Code {
    /// The smallest code for a text that still reads with 15 % of it damaged (level M); where that does not fit, with 7 %
    /// (level L).
    ///
    /// # Errors
    /// [`NoCode`] when the text is longer than any code holds.
    pub fn of(text: &str) -> Result<Self, NoCode> {
        let code = [EcLevel::M, EcLevel::L]
            .into_iter()
            .find_map(|level| QrCode::with_error_correction_level(text, level).ok())
            .ok_or(NoCode(text.len()))?;
        let inner = code.width();
        let width = inner + 2 * QUIET;
        let mut dark = vec![false; width * width];
        for (at, color) in code.into_colors().into_iter().enumerate() {
            let (x, y) = (at % inner + QUIET, at / inner + QUIET);
            dark[y * width + x] = color == Color::Dark;
        }
        Ok(Self { width, dark })
    }

    fn is_dark(&self, x: usize, y: usize) -> bool {
        self.dark.get(y * self.width + x) == Some(&true)
    }

    /// The code in half blocks, two modules above each other in a character. Without colours the blocks are the dark
    /// modules, as on paper; with them the code is black on white whatever the terminal's colours are.
    #[must_use]
    pub fn to_blocks(&self, in_colour: bool) -> String {
        let mut text = String::new();
        for y in (0..self.width).step_by(2) {
            if in_colour {
                text.push_str(BLACK_ON_WHITE);
            }
            for x in 0..self.width {
                text.push(match (self.is_dark(x, y), self.is_dark(x, y + 1)) {
                    (false, false) => ' ',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (true, true) => '█',
                });
            }
            if in_colour {
                // Before the line end, or the rest of the line would be white, too.
                text.push_str(RESET);
            }
            text.push('\n');
        }
        text
    }

    /// The code as a PNG in black and white.
    ///
    /// # Errors
    /// When it cannot be encoded, which is a bug.
    pub fn to_png(&self) -> anyhow::Result<Vec<u8>> {
        let side = self.width * SCALE;
        // A bit for each pixel, in rows of whole octets; 0 is black. SCALE pixels of a module are one octet.
        let rows = (0..side).flat_map(|y| (0..self.width).map(move |x| (x, y / SCALE)));
        let pixels: Vec<u8> = rows
            .map(|(x, y)| if self.is_dark(x, y) { 0 } else { 0xff })
            .collect();
        let mut png = Vec::new();
        let side = u32::try_from(side)?;
        let mut encoder = png::Encoder::new(&mut png, side, side);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::One);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&pixels)?;
        writer.finish()?;
        Ok(png)
    }

    /// The code for standard output. A terminal that is too narrow for it is warned of.
    #[must_use]
    pub fn for_stdout(&self) -> String {
        if !files::is_terminal() {
            return self.to_blocks(false);
        }
        if let Some(columns) = columns()
            && columns < self.width
        {
            report::warn(&format!(
                "the code is {} columns wide and this terminal {columns}: no phone reads it like this",
                self.width
            ));
        }
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        self.to_blocks(!is_dumb)
    }
}

/// Draws a text as a code: as an image if the name of the file ends with `.png`, else in blocks.
///
/// # Errors
/// [`NoCode`], and when the output cannot be written.
pub fn draw(text: &str, output: &ObjectOutput) -> anyhow::Result<()> {
    let (code, output) = (Code::of(text)?, output.output());
    let is_png = |file: &Path| {
        file.extension()
            .is_some_and(|it| it.eq_ignore_ascii_case("png"))
    };
    let drawn = match output.file() {
        Some(file) if is_png(file) => code.to_png()?,
        Some(_) => code.to_blocks(false).into_bytes(),
        None => code.for_stdout().into_bytes(),
    };
    output.write(&[&drawn], OutputForm::Text)
}

/// How many characters a line of the terminal has, if it says so.
fn columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    (size.ws_col > 0).then_some(size.ws_col.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a reader reads of a picture, of which each pixel is dark or light.
    fn read(side: usize, is_dark: impl Fn(usize, usize) -> bool) -> String {
        let mut picture = rqrr::PreparedImage::prepare_from_greyscale(side, side, |x, y| {
            if is_dark(x, y) { 0 } else { 255 }
        });
        let found = picture.detect_grids();
        assert_eq!(found.len(), 1);
        found[0].decode().unwrap().1
    }

    /// Texts of 2048, 3072 and 4096 bits, and the sides of their codes with margins.
    fn texts() -> [(String, usize); 4] {
        let text = |head: &str, digits: usize| {
            format!("{head}{}", "A7Q".repeat(digits).split_at(digits).0)
        };
        [
            (text("RELAYEXPECT:", 64), 41),
            (text("RELAYKEY:", 471), 77),
            (text("RELAYKEY:", 676), 93),
            (text("RELAYKEY:", 880), 101),
        ]
    }

    #[test]
    fn a_reader_reads_what_is_drawn_in_blocks() {
        for (text, side) in texts() {
            let code = Code::of(&text).unwrap();
            assert_eq!(code.width, side, "{}", text.len());
            let drawn = code.to_blocks(false);
            let lines: Vec<Vec<char>> = drawn.lines().map(|line| line.chars().collect()).collect();
            assert!(lines.iter().all(|line| line.len() == side));
            assert_eq!(lines.len(), side.div_ceil(2));
            let is_dark = |x: usize, y: usize| match lines[y / 2][x] {
                ' ' => false,
                '█' => true,
                '▀' => y.is_multiple_of(2),
                '▄' => !y.is_multiple_of(2),
                other => panic!("{other:?}"),
            };
            let margin = |at: usize| at < QUIET || at >= side - QUIET;
            for y in 0..side {
                assert!((0..side).all(|x| !(margin(x) || margin(y)) || !is_dark(x, y)));
            }
            assert_eq!(read(3 * side, |x, y| is_dark(x / 3, y / 3)), text);
            let plain = code
                .to_blocks(true)
                .replace(BLACK_ON_WHITE, "")
                .replace(RESET, "");
            assert_eq!(plain, drawn);
        }
    }

    #[test]
    fn a_reader_reads_the_image() {
        for (text, width) in texts() {
            let png = Code::of(&text).unwrap().to_png().unwrap();
            let mut reader = png::Decoder::new(std::io::Cursor::new(png))
                .read_info()
                .unwrap();
            let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
            let frame = reader.next_frame(&mut pixels).unwrap();
            let side = width * SCALE;
            assert_eq!((frame.width as usize, frame.height as usize), (side, side));
            let is_dark =
                |x: usize, y: usize| pixels[y * frame.line_size + x / 8] >> (7 - x % 8) & 1 == 0;
            assert_eq!(read(side, is_dark), text);
        }
    }

    #[test]
    fn what_no_code_holds_is_refused() {
        assert!(
            Code::of(&"A".repeat(4296)).is_ok(),
            "level L, where M has no room"
        );
        let NoCode(len) = Code::of(&"A".repeat(4297)).err().unwrap();
        assert_eq!(len, 4297);
    }
}
