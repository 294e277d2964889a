//! Where tensors live: each in one of a few buffers, shared by tensors whose lifetimes do not overlap.
//!
//! Two tensors that are alive at once are never in one buffer, because wgpu forbids a buffer to be read and written
//! by one dispatch even in disjoint ranges.

/// From the stage that writes a tensor first to the stage that reads it last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lifetime {
    pub first: usize,
    pub last: usize,
    /// Elements.
    pub size: usize,
}

/// Which buffer each tensor gets, and the sizes of the buffers.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Placement {
    pub buffer_of: Vec<usize>,
    pub sizes: Vec<usize>,
}

/// Places tensors in the order of their first use: into the free buffer that fits best, else into the largest
/// free one, grown, else into a new one.
pub(super) fn place(lifetimes: &[Lifetime]) -> Placement {
    let mut order: Vec<usize> = (0..lifetimes.len()).collect();
    order.sort_by_key(|&tensor| (lifetimes[tensor].first, tensor));
    let mut placement = Placement {
        buffer_of: vec![usize::MAX; lifetimes.len()],
        sizes: Vec::new(),
    };
    let mut busy_until: Vec<usize> = Vec::new();
    for tensor in order {
        let Lifetime { first, last, size } = lifetimes[tensor];
        let free = (0..busy_until.len()).filter(|&buffer| busy_until[buffer] < first);
        let sizes = &mut placement.sizes;
        let chosen = free.min_by_key(|&buffer| {
            let fits = sizes[buffer] >= size;
            (!fits, sizes[buffer].abs_diff(size), buffer)
        });
        let buffer = chosen.unwrap_or_else(|| {
            sizes.push(0);
            busy_until.push(0);
            sizes.len() - 1
        });
        sizes[buffer] = sizes[buffer].max(size);
        busy_until[buffer] = last;
        placement.buffer_of[tensor] = buffer;
    }
    placement
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lifetimes() -> impl Strategy<Value = Vec<Lifetime>> {
        let one = (0..30usize, 0..10usize, 1..1000usize).prop_map(|(first, span, size)| Lifetime {
            first,
            last: first + span,
            size,
        });
        prop::collection::vec(one, 1..40)
    }

    proptest! {
        #[test]
        fn tensors_alive_at_once_never_share(lifetimes in lifetimes()) {
            let placement = place(&lifetimes);
            for (i, a) in lifetimes.iter().enumerate() {
                prop_assert!(placement.sizes[placement.buffer_of[i]] >= a.size);
                for (j, b) in lifetimes.iter().enumerate().skip(i + 1) {
                    let overlap = a.first <= b.last && b.first <= a.last;
                    prop_assert!(!overlap || placement.buffer_of[i] != placement.buffer_of[j]);
                }
            }
        }
    }

    #[test]
    fn a_chain_needs_two_buffers() {
        let chain: Vec<_> = (0..10)
            .map(|stage| Lifetime {
                first: stage,
                last: stage + 1,
                size: 100,
            })
            .collect();
        assert_eq!(place(&chain).sizes, [100, 100]);
    }
}
