//! Holds a `#[repr(C)]` struct against the layout that naga computes for its WGSL twin.

use naga::proc::Layouter;

use super::{Shader, expand};

/// Declares a test that `Type` has the size and the field offsets of the struct `$name` in `$shader`.
/// Use: `layout_test!(activation_parameters, SHADER, "Parameters", Parameters { count, slope });`
macro_rules! layout_test {
    ($test:ident, $shader:expr, $name:literal, $type:ident { $($field:ident),+ $(,)? }) => {
        #[test]
        fn $test() {
            $crate::gpu::layout::check(
                &$shader,
                $name,
                std::mem::size_of::<$type>(),
                &[$((stringify!($field), std::mem::offset_of!($type, $field))),+],
            );
        }
    };
}
pub(crate) use layout_test;

pub(crate) fn check(shader: &Shader, name: &str, size: usize, fields: &[(&str, usize)]) {
    let module = naga::front::wgsl::parse_str(&expand(shader.source)).expect("valid WGSL");
    let mut layouter = Layouter::default();
    layouter.update(module.to_ctx()).expect("sized types");
    let (handle, found) = module
        .types
        .iter()
        .find(|(_, found)| found.name.as_deref() == Some(name))
        .unwrap_or_else(|| panic!("{} has no struct {name}", shader.path));
    let naga::TypeInner::Struct { members, .. } = &found.inner else {
        panic!("{name} of {} is no struct", shader.path);
    };
    let theirs: Vec<(&str, usize)> = members
        .iter()
        .map(|member| (member.name.as_deref().unwrap_or(""), member.offset as usize))
        .collect();
    assert_eq!(theirs, fields, "fields of {name} in {}", shader.path);
    let their_size = layouter[handle].size as usize;
    assert_eq!(their_size, size, "size of {name} in {}", shader.path);
}
