//! WGSL files and the text that is compiled of them.
//!
//! Shaders are plain WGSL without templating: variants are `override` constants, and the only text that is ever added
//! to a file are the shared functions that its header names (`// uses shared/philox.wgsl`).

/// A WGSL file, embedded with [`include_shader!`](crate::include_shader).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shader {
    pub(super) path: &'static str,
    pub(super) source: &'static str,
    /// Whether it is compiled without run-time checks: only this crate's own files are.
    is_trusted: bool,
}

impl Shader {
    /// A shader with this text. `path` is its name in labels and messages; two shaders may share one.
    ///
    /// It is compiled with wgpu's run-time checks (bounds of buffers, ends of loops). Its header may name shared
    /// functions of this crate, such as `// uses shared/grid.wgsl`.
    pub const fn new(path: &'static str, source: &'static str) -> Self {
        Self {
            path,
            source,
            is_trusted: false,
        }
    }

    /// A file of this crate, which is compiled without run-time checks in release builds.
    pub(crate) const fn trusted(path: &'static str, source: &'static str) -> Self {
        Self {
            path,
            source,
            is_trusted: true,
        }
    }

    /// Its name in labels and messages.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// Whether it is a file of this crate.
    pub(super) fn is_trusted(&self) -> bool {
        self.is_trusted
    }

    /// The text that is compiled.
    pub(crate) fn text(&self) -> String {
        expand(self.source)
    }

    /// The checks that it is compiled with. They keep the driver's compiler from unrolling loops: on a software adapter
    /// the matrix product takes three times as long with them. Builds with debug assertions have them everywhere.
    fn runtime_checks(&self) -> wgpu::ShaderRuntimeChecks {
        if self.is_trusted && !cfg!(debug_assertions) {
            wgpu::ShaderRuntimeChecks::unchecked()
        } else {
            wgpu::ShaderRuntimeChecks::checked()
        }
    }

    /// Compiles it.
    pub(crate) fn module(&self, device: &wgpu::Device, label: &str) -> wgpu::ShaderModule {
        let descriptor = wgpu::ShaderModuleDescriptor {
            label: Some(label),
            source: wgpu::ShaderSource::Wgsl(self.text().into()),
        };
        // SAFETY: checks are left out of this crate's own files only, which wgpu validates here as it does any module.
        // Each of them clamps or guards its indices against the sizes in its uniforms, its loops are bounded by those,
        // and the tests run every kernel with the checks on.
        #[allow(unsafe_code)]
        unsafe {
            device.create_shader_module_trusted(descriptor, self.runtime_checks())
        }
    }
}

/// Embeds a WGSL file as a [`Shader`](crate::gpu::Shader); the path is relative to the file that names it, as in
/// [`include_str!`].
///
/// ```ignore
/// static SINE: Shader = trainscope::include_shader!("sine.wgsl");
/// ```
#[macro_export]
macro_rules! include_shader {
    ($path:literal) => {
        $crate::gpu::Shader::new($path, include_str!($path))
    };
}

/// Embeds a file below this crate's `shaders/`: `static SGD: Shader = shader!("nn/optimizer/sgd.wgsl");`
macro_rules! shader {
    ($path:literal) => {
        $crate::gpu::Shader::trusted(
            $path,
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $path)),
        )
    };
}
pub(crate) use shader;

/// Functions that several shaders share.
static SHARED: &[Shader] = &[
    shader!("shared/activation_kinds.wgsl"),
    shader!("shared/corner.wgsl"),
    shader!("shared/elementary.wgsl"),
    shader!("shared/exponential.wgsl"),
    shader!("shared/grid.wgsl"),
    shader!("shared/philox.wgsl"),
    shader!("shared/plot.wgsl"),
    shader!("shared/polyline.wgsl"),
    shader!("shared/rows.wgsl"),
    shader!("shared/scale.wgsl"),
    shader!("shared/image_loads.wgsl"),
    shader!("shared/line_distance.wgsl"),
    shader!("data/permutation.wgsl"),
    shader!("shared/convolution/gradient.wgsl"),
    shader!("shared/convolution/images.wgsl"),
    shader!("shared/convolution/implicit_gemm.wgsl"),
    shader!("shared/step_scale.wgsl"),
    shader!("shared/subgroup_product.wgsl"),
    shader!("shared/workgroup_sum.wgsl"),
];

/// The text that is compiled: the shared functions that the header lines `// uses PATH` name, then the file.
///
/// # Panics
/// A header names a file that is not among the shared ones.
pub fn expand(source: &str) -> String {
    let mut text = String::new();
    for line in source.lines() {
        if let Some(path) = line.strip_prefix("// uses ") {
            let shared = SHARED
                .iter()
                .find(|shared| shared.path == path.trim())
                .unwrap_or_else(|| panic!("no shared shader '{path}'"));
            text.push_str(shared.source);
        }
    }
    text.push_str(source);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shaders of other crates keep the checks, in release builds too.
    #[test]
    fn foreign_shaders_are_checked() {
        let foreign = Shader::new("nn/matmul_cpu.wgsl", "");
        let checked = format!("{:?}", wgpu::ShaderRuntimeChecks::checked());
        assert_eq!(format!("{:?}", foreign.runtime_checks()), checked);
        let own = format!("{:?}", SHARED[0].runtime_checks());
        assert_eq!(own == checked, cfg!(debug_assertions));
    }
}
