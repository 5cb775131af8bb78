//! A quadtree over places with charges: what is far away pushes as one.

/// How large a square may look from a node, as size over distance, to push as one.
const OPENING: f32 = 0.9;
/// Squares are not divided further; what lies closer together than this pushes as one.
const MOST_DEPTH: u8 = 24;
const NOTHING: u32 = u32::MAX;

/// A quadtree (Barnes and Hut 1986).
pub(super) struct Tree {
    squares: Vec<Square>,
}

#[derive(Clone, Copy)]
struct Square {
    middle: [f32; 2],
    half: f32,
    depth: u8,
    charge: f32,
    /// Sum of places times charges; after building, the centre of charge.
    centre: [f32; 2],
    /// The first of four squares below.
    below: u32,
    /// The one body here, when there is one.
    body: u32,
}

impl Tree {
    pub(super) fn new(places: &[[f32; 2]], charges: &[f32]) -> Tree {
        let (mut low, mut high) = ([f32::MAX; 2], [f32::MIN; 2]);
        for place in places {
            for axis in 0..2 {
                low[axis] = low[axis].min(place[axis]);
                high[axis] = high[axis].max(place[axis]);
            }
        }
        let half = ((high[0] - low[0]).max(high[1] - low[1]) / 2.0).max(1e-3) * 1.001;
        let middle = [
            f32::midpoint(low[0], high[0]),
            f32::midpoint(low[1], high[1]),
        ];
        let mut tree = Tree {
            squares: Vec::with_capacity(places.len() * 2),
        };
        tree.squares.push(Square::empty(middle, half, 0));
        for body in 0..places.len() {
            tree.insert(body as u32, places, charges);
        }
        for square in &mut tree.squares {
            if square.charge > 0.0 {
                square.centre = square.centre.map(|sum| sum / square.charge);
            }
        }
        tree
    }

    fn insert(&mut self, body: u32, places: &[[f32; 2]], charges: &[f32]) {
        let (place, charge) = (places[body as usize], charges[body as usize]);
        let mut at = 0_usize;
        loop {
            let square = &mut self.squares[at];
            let was_empty = square.charge == 0.0;
            square.charge += charge;
            square.centre[0] += place[0] * charge;
            square.centre[1] += place[1] * charge;
            if was_empty {
                square.body = body;
                return;
            }
            if square.depth == MOST_DEPTH {
                return;
            }
            if square.below == NOTHING {
                let held = square.body;
                square.body = NOTHING;
                self.divide(at);
                let to = self.child(at, places[held as usize]);
                let (place, charge) = (places[held as usize], charges[held as usize]);
                let child = &mut self.squares[to];
                child.charge = charge;
                child.centre = place.map(|x| x * charge);
                child.body = held;
            }
            at = self.child(at, place);
        }
    }

    fn divide(&mut self, at: usize) {
        let Square {
            middle,
            half,
            depth,
            ..
        } = self.squares[at];
        self.squares[at].below = self.squares.len() as u32;
        let quarter = half / 2.0;
        for (x, y) in [(-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0), (1.0, 1.0)] {
            let middle = [middle[0] + x * quarter, middle[1] + y * quarter];
            self.squares.push(Square::empty(middle, quarter, depth + 1));
        }
    }

    fn child(&self, at: usize, place: [f32; 2]) -> usize {
        let square = &self.squares[at];
        let right = usize::from(place[0] > square.middle[0]);
        let up = usize::from(place[1] > square.middle[1]);
        square.below as usize + right + 2 * up
    }

    /// The sum of charge over distance, away from every other body.
    pub(super) fn push(&self, body: usize, place: [f32; 2]) -> [f32; 2] {
        let mut force = [0.0; 2];
        let mut open = vec![0_u32];
        while let Some(at) = open.pop() {
            let square = &self.squares[at as usize];
            if square.charge == 0.0 || square.body == body as u32 {
                continue;
            }
            let (dx, dy) = (place[0] - square.centre[0], place[1] - square.centre[1]);
            let squared = dx * dx + dy * dy;
            let size = 2.0 * square.half;
            if square.below == NOTHING || size * size < OPENING * OPENING * squared {
                let near = squared.max(1e-6);
                force[0] += square.charge * dx / near;
                force[1] += square.charge * dy / near;
            } else {
                open.extend(square.below..square.below + 4);
            }
        }
        force
    }
}

impl Square {
    fn empty(middle: [f32; 2], half: f32, depth: u8) -> Square {
        Square {
            middle,
            half,
            depth,
            charge: 0.0,
            centre: [0.0; 2],
            below: NOTHING,
            body: NOTHING,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_push_is_near_the_sum_over_all_bodies() {
        let places: Vec<[f32; 2]> = (0..500_u32)
            .map(|i| [(i * 37 % 101) as f32, (i * 53 % 97) as f32])
            .collect();
        let charges: Vec<f32> = (0..500_u32).map(|i| 1.0 + (i % 3) as f32).collect();
        let tree = Tree::new(&places, &charges);
        for body in [0, 17, 321] {
            let mut exact = [0.0_f32; 2];
            for other in (0..500).filter(|&other| other != body) {
                let d = [
                    places[body][0] - places[other][0],
                    places[body][1] - places[other][1],
                ];
                let squared = (d[0] * d[0] + d[1] * d[1]).max(1e-6);
                exact[0] += charges[other] * d[0] / squared;
                exact[1] += charges[other] * d[1] / squared;
            }
            let push = tree.push(body, places[body]);
            let error = (push[0] - exact[0]).hypot(push[1] - exact[1]);
            assert!(
                error < 0.1 * exact[0].hypot(exact[1]) + 0.5,
                "{body}: {push:?} {exact:?}"
            );
        }
    }

    #[test]
    fn many_bodies_in_one_place_do_not_divide_for_ever() {
        let tree = Tree::new(&[[1.0, 1.0]; 50], &[1.0; 50]);
        assert!(tree.push(0, [1.0, 1.0]).iter().all(|x| x.is_finite()));
    }
}
