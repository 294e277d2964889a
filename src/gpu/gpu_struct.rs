//! Structs that kernels read: declared once, padded, written as bytes and compared with their WGSL declaration.

use bytemuck::NoUninit;
use wgpu::naga;

use super::{Shader, expand};

/// Bytes of a struct are a multiple of this: uniform buffers and structs nested in them ask for it on some adapters.
const ALIGNMENT: usize = 16;

/// Data that a [`super::Uniform`] can be made of: a struct declared with [`gpu_struct!`](crate::gpu_struct), or plain
/// numbers and arrays of them, which are written as they lie in memory.
pub trait UniformData {
    /// The number of bytes that [`UniformData::append_to`] appends.
    const SIZE: usize;

    /// Appends the data as a kernel reads it.
    fn append_to(&self, bytes: &mut Vec<u8>);
}

impl<T: NoUninit> UniformData for T {
    const SIZE: usize = size_of::<T>();

    fn append_to(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(bytemuck::bytes_of(self));
    }
}

/// The bytes of several items, one after another, as a kernel reads an `array` of them.
pub fn to_bytes<T: UniformData>(items: &[T]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(items.len() * T::SIZE);
    for item in items {
        item.append_to(&mut bytes);
    }
    bytes
}

/// Declares a struct that kernels read, with its padding and a test of its layout.
///
/// The fields are written one after another, and zeros follow up to a multiple of 16 bytes. In test builds, a test of
/// the struct's name compares names, offsets and size with those of the WGSL struct, or of one in each of several
/// shaders. In WGSL, a struct that is the element of an array or a field of another struct says its padding itself
/// (`@size(12) last_field: u32`).
///
/// ```
/// use trainscope::gpu::Shader;
///
/// static SHADER: Shader = Shader::new(
///     "update.wgsl",
///     "struct Uniforms { vectors: u32, learning_rate: f32, momentum: f32, weight_decay: f32 }
///     @group(0) @binding(0) var<uniform> uniforms: Uniforms;",
/// );
///
/// trainscope::gpu_struct! {
///     /// The settings of one update.
///     struct SgdUniforms in SHADER::Uniforms {
///         vectors: u32,
///         learning_rate: f32,
///         momentum: f32,
///         weight_decay: f32,
///     }
/// }
/// ```
#[macro_export]
macro_rules! gpu_struct {
    (
        $(#[$attribute:meta])*
        $visibility:vis struct $name:ident in $($shader:ident::$wgsl:ident),+ {
            $($(#[$field_attribute:meta])* $field_visibility:vis $field:ident: $type:ty),+ $(,)?
        }
    ) => {
        $(#[$attribute])*
        #[derive(Debug, Clone, Copy)]
        $visibility struct $name {
            $($(#[$field_attribute])* $field_visibility $field: $type,)+
        }

        impl $crate::gpu::UniformData for $name {
            const SIZE: usize = $crate::gpu::padded_size(
                0 $(+ <$type as $crate::gpu::UniformData>::SIZE)+
            );

            fn append_to(&self, bytes: &mut Vec<u8>) {
                let end = bytes.len() + Self::SIZE;
                $($crate::gpu::UniformData::append_to(&self.$field, bytes);)+
                bytes.resize(end, 0);
            }
        }

        #[cfg(test)]
        #[test]
        #[allow(non_snake_case)]
        fn $name() {
            let fields = [$((stringify!($field), <$type as $crate::gpu::UniformData>::SIZE)),+];
            $($crate::gpu::assert_layout(&$shader, stringify!($wgsl), &fields);)+
        }
    };
}

/// `size` with its padding.
#[doc(hidden)]
pub const fn padded_size(size: usize) -> usize {
    size.next_multiple_of(ALIGNMENT)
}

/// Compares a struct whose fields have these names and sizes, one after another, with the struct `name` of `shader`.
///
/// # Panics
/// They differ.
#[doc(hidden)]
pub fn assert_layout(shader: &Shader, name: &str, fields: &[(&str, usize)]) {
    let module = naga::front::wgsl::parse_str(&expand(shader.source)).expect("valid WGSL");
    let (handle, members, span) = module
        .types
        .iter()
        .find_map(|(handle, found)| match &found.inner {
            naga::TypeInner::Struct { members, span } if found.name.as_deref() == Some(name) => {
                Some((handle, members, *span as usize))
            }
            _ => None,
        })
        .unwrap_or_else(|| panic!("{} has no struct {name}", shader.path));
    let in_wgsl: Vec<(&str, usize)> = members
        .iter()
        .map(|member| (member.name.as_deref().unwrap_or(""), member.offset as usize))
        .collect();
    let mut end = 0;
    let in_rust: Vec<(&str, usize)> = fields
        .iter()
        .map(|&(field, size)| {
            end += size;
            (field, end - size)
        })
        .collect();
    assert_eq!(in_wgsl, in_rust, "fields of {name} in {}", shader.path);
    let is_part_of_another = module.types.iter().any(|(_, other)| match &other.inner {
        naga::TypeInner::Struct { members, .. } => members.iter().any(|member| member.ty == handle),
        naga::TypeInner::Array { base, .. } => *base == handle,
        _ => false,
    });
    let size = if is_part_of_another {
        span
    } else {
        padded_size(span)
    };
    assert_eq!(size, padded_size(end), "size of {name} in {}", shader.path);
}

#[cfg(test)]
mod tests {
    use super::*;

    static SOURCE: Shader = Shader::new(
        "test.wgsl",
        "
            struct Inner { a: u32, @size(12) b: f32 }
            struct Outer { inner: Inner, c: vec2f, d: u32 }
            struct Short { a: u32, b: f32 }
            struct Holder { short: Short, c: vec4f }
        ",
    );

    gpu_struct! {
        struct Inner in SOURCE::Inner { a: u32, b: f32 }
    }
    gpu_struct! {
        struct Outer in SOURCE::Outer { inner: Inner, c: [f32; 2], d: u32 }
    }

    #[test]
    fn structs_are_padded_with_zeros() {
        let inner = Inner { a: 1, b: 2.0 };
        let outer = Outer {
            inner,
            c: [3.0, 4.0],
            d: 5,
        };
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(&to_bytes(&[outer]));
        let [two, three, four] = [2.0f32, 3.0, 4.0].map(f32::to_bits);
        assert_eq!(words, [1, two, 0, 0, three, four, 5, 0]);
    }

    #[test]
    #[should_panic(expected = "fields of Outer")]
    fn swapped_fields_are_found() {
        assert_layout(&SOURCE, "Outer", &[("inner", 16), ("d", 4), ("c", 8)]);
    }

    #[test]
    #[should_panic(expected = "size of Short")]
    fn nested_structs_say_their_padding() {
        assert_layout(&SOURCE, "Short", &[("a", 4), ("b", 4)]);
    }
}
