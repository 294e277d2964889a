//! Layers with PyTorch's first values: uniform, bounded by the root of the inverse number of inputs.

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{
    BatchNorm, BatchNormConfig, Conv2d, Conv2dConfig, ConvTranspose2d, ConvTranspose2dConfig, Init,
    Linear, VarBuilder, VarMap,
};

/// Makes layers and keeps what they learn.
pub struct Builder {
    /// All learnt tensors, batch norm's running figures apart.
    pub learnt: VarMap,
    state: VarMap,
    layers: usize,
}

impl Builder {
    pub fn new() -> Self {
        Self {
            learnt: VarMap::new(),
            state: VarMap::new(),
            layers: 0,
        }
    }

    /// How many numbers are learnt.
    pub fn parameters(&self) -> usize {
        let vars = self.learnt.all_vars();
        vars.iter().map(|var| var.elem_count()).sum()
    }

    fn tensors(
        &mut self,
        weight: &[usize],
        inputs: usize,
        bias: usize,
    ) -> Result<(Tensor, Tensor)> {
        let up = (1.0 / inputs as f64).sqrt();
        let init = Init::Uniform { lo: -up, up };
        self.layers += 1;
        let place = VarBuilder::from_varmap(&self.learnt, DType::F32, &Device::Cpu).pp(self.layers);
        let weight = place.get_with_hints(weight, "weight", init)?;
        Ok((weight, place.get_with_hints(bias, "bias", init)?))
    }

    pub fn dense(&mut self, inputs: usize, outputs: usize) -> Result<Linear> {
        let (weight, bias) = self.tensors(&[outputs, inputs], inputs, outputs)?;
        Ok(Linear::new(weight, Some(bias)))
    }

    /// 4x4.
    pub fn conv(
        &mut self,
        [from, to]: [usize; 2],
        [stride, padding]: [usize; 2],
    ) -> Result<Conv2d> {
        let (weight, bias) = self.tensors(&[to, from, 4, 4], 16 * from, to)?;
        let config = Conv2dConfig {
            stride,
            padding,
            ..Default::default()
        };
        Ok(Conv2d::new(weight, Some(bias), config))
    }

    /// 4x4.
    pub fn conv_transpose(
        &mut self,
        [from, to]: [usize; 2],
        [stride, padding]: [usize; 2],
    ) -> Result<ConvTranspose2d> {
        // PyTorch takes the channels that come out for the inputs here.
        let (weight, bias) = self.tensors(&[from, to, 4, 4], 16 * to, to)?;
        let config = ConvTranspose2dConfig {
            stride,
            padding,
            ..Default::default()
        };
        Ok(ConvTranspose2d::new(weight, Some(bias), config))
    }

    pub fn batch_norm(&mut self, channels: usize) -> Result<BatchNorm> {
        self.layers += 1;
        let place = VarBuilder::from_varmap(&self.learnt, DType::F32, &Device::Cpu).pp(self.layers);
        let state = VarBuilder::from_varmap(&self.state, DType::F32, &Device::Cpu).pp(self.layers);
        let BatchNormConfig { eps, .. } = BatchNormConfig::default();
        BatchNorm::new(
            channels,
            state.get_with_hints(channels, "running_mean", Init::Const(0.0))?,
            state.get_with_hints(channels, "running_var", Init::Const(1.0))?,
            place.get_with_hints(channels, "weight", Init::Const(1.0))?,
            place.get_with_hints(channels, "bias", Init::Const(0.0))?,
            eps,
        )
    }
}
