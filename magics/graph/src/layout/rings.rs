//! Components side by side: the first in the middle, the others on rings around it.

use std::f32::consts::TAU;

/// Free space around a component.
const MARGIN: f32 = 0.7;

/// How far each component, whose own middle is the origin, is to be moved.
pub(super) fn arrange(placed: &[Vec<[f32; 2]>]) -> Vec<[f32; 2]> {
    let circles: Vec<([f32; 2], f32)> = placed.iter().map(|places| circle(places)).collect();
    let mut offsets = Vec::with_capacity(circles.len());
    let Some(&(middle, inner)) = circles.first() else {
        return offsets;
    };
    offsets.push([-middle[0], -middle[1]]);
    let mut edge = inner;
    let mut next = 1;
    while next < circles.len() {
        let largest = circles[next..]
            .iter()
            .map(|(_, radius)| *radius)
            .fold(0.0, f32::max);
        let ring = edge + largest;
        let mut angles: Vec<f32> = Vec::new();
        let mut sum = 0.0;
        for (_, radius) in &circles[next..] {
            let angle = 2.0 * (radius / ring).min(1.0).asin();
            if sum + angle > TAU && !angles.is_empty() {
                break;
            }
            sum += angle;
            angles.push(angle);
        }
        let spare = (TAU - sum).max(0.0) / angles.len() as f32;
        // The first stands to the right: figures are wider than high.
        let mut at = -(angles[0] + spare) / 2.0;
        for (angle, (middle, _)) in angles.iter().zip(&circles[next..]) {
            let towards = at + (angle + spare) / 2.0;
            offsets.push([
                ring * towards.cos() - middle[0],
                ring * towards.sin() - middle[1],
            ]);
            at += angle + spare;
        }
        next += angles.len();
        edge = ring + largest;
    }
    offsets
}

/// A circle around places with some space: middle of their extent, and radius.
fn circle(places: &[[f32; 2]]) -> ([f32; 2], f32) {
    let (mut low, mut high) = ([f32::MAX; 2], [f32::MIN; 2]);
    for place in places {
        for axis in 0..2 {
            low[axis] = low[axis].min(place[axis]);
            high[axis] = high[axis].max(place[axis]);
        }
    }
    let middle = [
        f32::midpoint(low[0], high[0]),
        f32::midpoint(low[1], high[1]),
    ];
    let radius = places
        .iter()
        .map(|p| (p[0] - middle[0]).hypot(p[1] - middle[1]))
        .fold(0.0, f32::max);
    (middle, radius + MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_do_not_overlap() {
        let square = |size: f32| vec![[-size, -size], [size, size], [size, -size], [-size, size]];
        let placed: Vec<_> = [9.0, 3.0, 3.0, 2.0]
            .into_iter()
            .chain([0.5; 60])
            .map(square)
            .collect();
        let offsets = arrange(&placed);
        let circles: Vec<_> = placed.iter().map(|places| circle(places).1).collect();
        for a in 0..offsets.len() {
            for b in 0..a {
                let apart = (offsets[a][0] - offsets[b][0]).hypot(offsets[a][1] - offsets[b][1]);
                assert!(apart > (circles[a] + circles[b]) * 0.9, "{a} {b} {apart}");
            }
        }
        assert!(arrange(&[]).is_empty());
    }
}
