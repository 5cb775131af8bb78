//! From coordinates in any unit to places in a picture that uses its room well.

use mlk8s_catalog::view::GraphView;

/// Width of the picture.
pub(crate) const WIDTH: f32 = 960.0;
/// Smallest and largest height of the picture.
const HEIGHTS: [f32; 2] = [340.0, 660.0];
/// Free space around the nodes, for their labels.
const MARGIN: [f32; 2] = [70.0, 32.0];
/// The most that the picture is stretched sideways: names need room there.
const STRETCH: f32 = 1.4;
/// How far a crowded middle is spread: 0 leaves it, 1 gives every node the same room.
const SPREAD: f32 = 0.6;
/// Number of nodes below which nothing is spread, and above which all of [`SPREAD`] is used.
const CROWDS: [f32; 2] = [15.0, 60.0];

/// Places in pixels, and the height of the picture; O(n log n).
pub(crate) fn fit(graph: &GraphView) -> (Vec<[f32; 2]>, f32) {
    let clean = |v: f32| {
        if v.is_finite() {
            v.clamp(-1e9, 1e9)
        } else {
            0.0
        }
    };
    let mut points: Vec<[f32; 2]> = graph
        .nodes
        .iter()
        .map(|n| [clean(n.x), clean(n.y)])
        .collect();
    if points.is_empty() {
        return (points, HEIGHTS[0]);
    }
    spread(&mut points);
    let ([left, right], [top, bottom]) = (bounds(&points, 0), bounds(&points, 1));
    let (wide, high) = ((right - left).max(1e-6), (bottom - top).max(1e-6));
    // A few nodes stay close together; many take all the room there is.
    let most = 80.0 * (points.len() as f32).sqrt() + 180.0;
    let inner = WIDTH - 2.0 * MARGIN[0];
    let down = (inner / wide)
        .min((HEIGHTS[1] - 2.0 * MARGIN[1]) / high)
        .min(most / wide.max(high));
    let across = (inner / wide).min(down * STRETCH);
    let height = (high * down + 2.0 * MARGIN[1]).clamp(HEIGHTS[0], HEIGHTS[1]);
    for point in &mut points {
        point[0] = WIDTH / 2.0 + (point[0] - f32::midpoint(left, right)) * across;
        point[1] = height / 2.0 + (point[1] - f32::midpoint(top, bottom)) * down;
    }
    (points, height)
}

fn bounds(points: &[[f32; 2]], axis: usize) -> [f32; 2] {
    points.iter().fold([f32::MAX, f32::MIN], |[low, high], p| {
        [low.min(p[axis]), high.max(p[axis])]
    })
}

/// Moves nodes along the ray from the middle, in the order in which they stand on it: a crowded middle gets wider and
/// the empty space around it narrower, while directions and neighbourhoods stay.
fn spread(points: &mut [[f32; 2]]) {
    let n = points.len() as f32;
    let share = SPREAD * ((n - CROWDS[0]) / (CROWDS[1] - CROWDS[0])).clamp(0.0, 1.0);
    let mean = |axis: usize| points.iter().map(|p| p[axis]).sum::<f32>() / n;
    let middle = [mean(0), mean(1)];
    let away = |p: &[f32; 2]| (p[0] - middle[0]).hypot(p[1] - middle[1]);
    let mut order: Vec<(f32, usize)> = points.iter().map(away).zip(0..).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let edge = order.last().map_or(0.0, |last| last.0);
    for (rank, &(distance, i)) in order.iter().enumerate() {
        if distance > 0.0 {
            let even = edge * ((rank as f32 + 0.5) / n).sqrt();
            let factor = 1.0 + share * (even / distance - 1.0);
            for (axis, middle) in middle.iter().enumerate() {
                points[i][axis] = middle + (points[i][axis] - middle) * factor;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlk8s_catalog::view::NodeView;

    fn places(points: impl Iterator<Item = [f32; 2]>) -> (Vec<[f32; 2]>, f32) {
        let nodes = points
            .map(|[x, y]| NodeView {
                x,
                y,
                ..NodeView::default()
            })
            .collect();
        fit(&GraphView {
            nodes,
            ..GraphView::default()
        })
    }

    #[test]
    fn everything_is_inside_the_margins() {
        for far in [0.0, 1e-20, 3.0, 1e30] {
            let (points, height) = places((0..100).map(|i| [far * i as f32, far * (i % 7) as f32]));
            assert!((HEIGHTS[0]..=HEIGHTS[1]).contains(&height));
            let inside =
                |v: f32, margin: f32, side: f32| (margin - 0.1..=side - margin + 0.1).contains(&v);
            for [x, y] in points {
                assert!(
                    inside(x, MARGIN[0], WIDTH) && inside(y, MARGIN[1], height),
                    "{far}: {x} {y}"
                );
            }
        }
    }

    #[test]
    fn a_crowded_middle_gets_wider() {
        let crowd = (0..100).map(|i| {
            if i < 4 {
                [0.0, 50.0 * i as f32]
            } else {
                [0.01 * i as f32, (i % 9) as f32]
            }
        });
        let mut points: Vec<[f32; 2]> = crowd.collect();
        let before = points[50][0] - points[40][0];
        spread(&mut points);
        assert!(points[50][0] - points[40][0] > before);
    }
}
