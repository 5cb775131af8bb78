//! Where the glyphs of a page stand: runs the text operators of its content (PDF 32000, chapter 9).

use hayro_font::hayro_cmap::BfString;
use hayro_font::kurbo::{Affine, Point, Vec2};
use hayro_font::{Font, FontGlyph};
use hayro_syntax::content::TypedIter;
use hayro_syntax::content::ops::TypedInstruction;
use hayro_syntax::object::{Array, Dict, Name, Number, Object, Stream};
use hayro_syntax::page::{Page, Resources};

use super::fonts::{Fonts, Loaded, Style};
use super::guard::Budget;

/// Deepest nesting of forms in forms.
const MAX_DEPTH: u32 = 12;
/// Points from the corner of the page beyond which there is no paper.
const FAR: f64 = 100_000.0;
/// What a glyph costs: it is kept until its page is laid out, so that this bounds memory.
const GLYPH_STEPS: u64 = 8;
/// What drawing a form costs, in operators.
const FORM_STEPS: u64 = 400;
/// What stands for a glyph without a known meaning.
pub(super) const UNKNOWN: char = '\u{fffd}';

/// One character on a page, in points from the top left corner, as the page is looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Glyph {
    pub(super) c: char,
    /// Left end.
    pub(super) x0: f32,
    /// Right end.
    pub(super) x1: f32,
    /// The baseline, downwards.
    pub(super) y: f32,
    /// Font size.
    pub(super) size: f32,
    pub(super) style: Style,
    /// True when the line runs left to right.
    pub(super) upright: bool,
}

/// The glyphs of a page in the order in which they are drawn.
pub(super) fn glyphs<'a>(page: &Page<'a>, fonts: &Fonts<'a>, budget: &Budget) -> Vec<Glyph> {
    let contents = page.raw();
    let admitted = match contents.get::<Stream<'_>>("Contents") {
        Some(stream) => budget.admit(&stream),
        None => contents.get::<Array<'_>>("Contents").is_none_or(|array| {
            array
                .iter::<Stream<'_>>()
                .all(|stream| budget.admit(&stream))
        }),
    };
    if !admitted {
        return Vec::new();
    }
    let initial = Affine::new(page.initial_transform(true).as_coeffs());
    let mut painter = Painter {
        fonts,
        budget,
        glyphs: Vec::new(),
    };
    if let Some(content) = page.page_stream() {
        painter.run(content, page.resources(), &State::new(initial), 0);
    }
    painter.glyphs
}

/// The part of the graphics state that text depends on.
#[derive(Clone)]
struct State<'a> {
    ctm: Affine,
    font: Option<Loaded<'a>>,
    size: f64,
    char_space: f64,
    word_space: f64,
    scale: f64,
    leading: f64,
    rise: f64,
    matrix: Affine,
    line: Affine,
}

impl State<'_> {
    fn new(ctm: Affine) -> Self {
        Self {
            ctm,
            font: None,
            size: 1.0,
            char_space: 0.0,
            word_space: 0.0,
            scale: 1.0,
            leading: 0.0,
            rise: 0.0,
            matrix: Affine::IDENTITY,
            line: Affine::IDENTITY,
        }
    }

    fn next_line(&mut self, x: f64, y: f64) {
        self.line *= Affine::translate((x, y));
        self.matrix = self.line;
    }
}

struct Painter<'p, 'a> {
    fonts: &'p Fonts<'a>,
    budget: &'p Budget,
    glyphs: Vec<Glyph>,
}

impl<'a> Painter<'_, 'a> {
    fn run(&mut self, content: &[u8], resources: &Resources<'a>, initial: &State<'a>, depth: u32) {
        let mut state = initial.clone();
        let mut stack: Vec<State<'a>> = Vec::new();
        let mut operations = TypedIter::new(content);
        while let Some(operation) = operations.next() {
            if !self.budget.step(1) {
                return;
            }
            match operation {
                TypedInstruction::SaveState(_) if stack.len() < 256 => stack.push(state.clone()),
                TypedInstruction::RestoreState(_) => state = stack.pop().unwrap_or(state),
                TypedInstruction::Transform(op) => {
                    state.ctm *= affine([op.0, op.1, op.2, op.3, op.4, op.5]);
                }
                TypedInstruction::XObject(op) => {
                    if let Some(form) = resources.get_x_object(op.0) {
                        self.form(&form, resources, &state, depth + 1);
                    }
                }
                TypedInstruction::TextFont(op) => {
                    state.font = resources
                        .get_font(op.0)
                        .and_then(|dict| self.fonts.font(&dict, self.budget));
                    state.size = op.1.as_f64();
                }
                other => self.text(other, &mut state),
            }
        }
    }

    /// The operators that set text parameters, move and show.
    fn text(&mut self, operation: TypedInstruction<'_, '_>, state: &mut State<'a>) {
        match operation {
            TypedInstruction::BeginText(_) => {
                (state.matrix, state.line) = (Affine::IDENTITY, Affine::IDENTITY);
            }
            TypedInstruction::CharacterSpacing(op) => state.char_space = op.0.as_f64(),
            TypedInstruction::WordSpacing(op) => state.word_space = op.0.as_f64(),
            TypedInstruction::HorizontalScaling(op) => state.scale = op.0.as_f64() / 100.0,
            TypedInstruction::TextLeading(op) => state.leading = op.0.as_f64(),
            TypedInstruction::TextRise(op) => state.rise = op.0.as_f64(),
            TypedInstruction::NextLine(op) => state.next_line(op.0.as_f64(), op.1.as_f64()),
            TypedInstruction::NextLineAndSetLeading(op) => {
                state.leading = -op.1.as_f64();
                state.next_line(op.0.as_f64(), op.1.as_f64());
            }
            TypedInstruction::NextLineUsingLeading(_) => state.next_line(0.0, -state.leading),
            TypedInstruction::SetTextMatrix(op) => {
                state.line = affine([op.0, op.1, op.2, op.3, op.4, op.5]);
                state.matrix = state.line;
            }
            TypedInstruction::ShowText(op) => self.show(op.0.as_bytes(), state),
            TypedInstruction::NextLineAndShowText(op) => {
                state.next_line(0.0, -state.leading);
                self.show(op.0.as_bytes(), state);
            }
            TypedInstruction::ShowTextWithParameters(op) => {
                state.word_space = op.0.as_f64();
                state.char_space = op.1.as_f64();
                state.next_line(0.0, -state.leading);
                self.show(op.2.as_bytes(), state);
            }
            TypedInstruction::ShowTexts(op) => {
                for part in op.0.iter::<Object<'_>>() {
                    match part {
                        Object::String(text) => self.show(text.as_bytes(), state),
                        Object::Number(back) => {
                            let by = -back.as_f64() / 1000.0 * state.size * state.scale;
                            state.matrix *= Affine::translate((by, 0.0));
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    fn form(&mut self, form: &Stream<'a>, around: &Resources<'a>, state: &State<'a>, depth: u32) {
        let dict = form.dict();
        let is_form = dict
            .get::<Name<'_>>("Subtype")
            .is_some_and(|name| name.as_str() == "Form");
        let resources = dict.get::<Dict<'_>>("Resources");
        // Plots draw each of their marks as a form: without fonts or further forms there is no text to find in it.
        let no_text = resources
            .as_ref()
            .is_some_and(|it| !it.contains_key("Font") && !it.contains_key("XObject"));
        if !is_form
            || no_text
            || depth > MAX_DEPTH
            || !self.budget.step(FORM_STEPS)
            || !self.budget.admit(form)
        {
            return;
        }
        let Ok(content) = form.decoded_data() else {
            return;
        };
        let mut inside = state.clone();
        if let Some(matrix) = dict.get::<Array<'_>>("Matrix") {
            let numbers: Vec<f64> = matrix.iter::<f64>().collect();
            if let Ok(coefficients) = <[f64; 6]>::try_from(numbers) {
                inside.ctm *= Affine::new(coefficients);
            }
        }
        match resources {
            Some(resources) => self.run(&content, &Resources::new(resources), &inside, depth),
            None => self.run(&content, around, &inside, depth),
        }
    }

    fn show(&mut self, bytes: &[u8], state: &mut State<'a>) {
        let Some(font) = state.font.clone() else {
            return;
        };
        let mut at = 0;
        while at < bytes.len() && self.budget.step(GLYPH_STEPS) {
            let (code, len) = font.0.read_code(bytes, at);
            at += len.max(1);
            let advance = font.0.code_advance(code) / 1000.0;
            self.glyph(&font.0, code, advance, font.1, state);
            let space = state.char_space
                + if code == 32 && len == 1 {
                    state.word_space
                } else {
                    0.0
                };
            let by = if font.0.is_horizontal() {
                Vec2::new((advance.x * state.size + space) * state.scale, 0.0)
            } else {
                Vec2::new(0.0, advance.y * state.size + space)
            };
            state.matrix *= Affine::translate(by);
        }
    }

    fn glyph(
        &mut self,
        font: &Font<'a>,
        code: u32,
        advance: Vec2,
        style: Style,
        state: &State<'a>,
    ) {
        let text = match font.glyph(font.map_code(code), code) {
            FontGlyph::Outline(glyph) => glyph.as_unicode(),
            FontGlyph::Type3(glyph) => glyph.as_unicode(),
        };
        let place = state.ctm
            * state.matrix
            * Affine::new([
                state.size * state.scale,
                0.0,
                0.0,
                state.size,
                0.0,
                state.rise,
            ]);
        let (start, end) = (place * Point::ZERO, place * Point::new(advance.x, 0.0));
        let up = place * Point::new(0.0, 1.0) - start;
        let along = place * Point::new(1.0, 0.0) - start;
        if ![start.x, start.y, end.x, up.hypot()]
            .iter()
            .all(|at| at.abs() < FAR)
        {
            return;
        }
        let upright = along.x > 0.0 && along.y.abs() < 0.1 * along.x && up.y < 0.0;
        let mut glyph = Glyph {
            c: UNKNOWN,
            x0: start.x as f32,
            x1: end.x as f32,
            y: start.y as f32,
            size: up.hypot() as f32,
            style,
            upright,
        };
        match text {
            Some(BfString::Char(c)) => self.glyphs.push(Glyph { c, ..glyph }),
            Some(BfString::String(text)) => {
                let n_chars = text.chars().count().max(1) as f32;
                let width = (glyph.x1 - glyph.x0) / n_chars;
                for c in text.chars() {
                    glyph.x1 = glyph.x0 + width;
                    self.glyphs.push(Glyph { c, ..glyph });
                    glyph.x0 = glyph.x1;
                }
            }
            None => self.glyphs.push(glyph),
        }
    }
}

fn affine(numbers: [Number; 6]) -> Affine {
    Affine::new(numbers.map(|number| number.as_f64()))
}
