"""What a net costs, by plain arithmetic: the net is written down a second time, without Keras, and added up.

The one-layer net of the notebooks, for images of 32x32 pixels and 3 channels:

    >>> net = CostCounter(32, 32, 3).conv(32, 3, padding="valid").pool().flatten().dense(128).dense(10)
    >>> net.cost()
    Cost(parameters=923914, flops=3400960)

Counted are the trainable parameters, and the multiply-adds of convolutions and dense layers as 2 operations each. The
operations of biases, batch normalisation, activations and pooling are left out: they are a few per cent at most.
"""

from spaces.contract import Cost, InputSpec


class CostCounter:
    """Follows one image through a net and adds up what the layers cost.

    Each method stands for one layer and returns the counter, so that calls can be chained:

        >>> counter = CostCounter(32, 32, 3)
        >>> counter.conv(16, 3).cost()  # 3 * 3 * 3 * 16 weights, 16 biases; 2 operations a weight and position.
        Cost(parameters=448, flops=884736)
        >>> counter.pool().global_pool().dense(10).cost()  # 16 * 10 weights and 10 biases more.
        Cost(parameters=618, flops=885056)

    Args:
        height: Height of the input, in pixels.
        width: Width of the input, in pixels.
        channels: Channels of the input.

    Attributes:
        height: Height of what the layers so far leave of the image.
        width: Its width.
        channels: Its channels.
        parameters: Trainable parameters so far.
        flops: Forward operations an image so far.
    """

    def __init__(self, height: int, width: int, channels: int) -> None:
        self.height = height
        self.width = width
        self.channels = channels
        self.parameters = 0
        self.flops = 0

    @classmethod
    def of(cls, input_spec: InputSpec) -> "CostCounter":
        """A counter that begins at a study's images."""
        return cls(input_spec.height, input_spec.width, input_spec.channels)

    def conv(self, filters: int, kernel: int, padding: str = "same", bias: bool = True) -> "CostCounter":
        """A convolution with square kernels and stride 1.

        Args:
            filters: How many there are.
            kernel: Their side, in pixels.
            padding: ``same`` or ``valid``, as in Keras.
            bias: Whether each filter has a bias.

        Raises:
            ValueError: The padding is ``valid``, and the image is smaller than the kernel.
        """
        weights = kernel * kernel * self.channels * filters
        if padding == "valid":
            self._resize(self.height - kernel + 1, self.width - kernel + 1)
        self.channels = filters
        self.parameters += weights + (filters if bias else 0)
        self.flops += 2 * weights * self.height * self.width
        return self

    def pool(self, size: int = 2) -> "CostCounter":
        """Pooling whose stride is its size, with padding ``valid``: what does not fill a window is dropped.

        Args:
            size: The window's side, in pixels.

        Raises:
            ValueError: The image is smaller than the window.
        """
        self._resize(self.height // size, self.width // size)
        return self

    def batch_norm(self, center: bool = True, scale: bool = True) -> "CostCounter":
        """Batch normalisation over the channels; its moving mean and variance are not trainable."""
        self.parameters += self.channels * (center + scale)
        return self

    def flatten(self) -> "CostCounter":
        """All positions and channels in one row."""
        self.channels *= self.height * self.width
        self.height = self.width = 1
        return self

    def global_pool(self) -> "CostCounter":
        """The average or maximum over all positions."""
        self.height = self.width = 1
        return self

    def dense(self, units: int, bias: bool = True) -> "CostCounter":
        """A dense layer; it follows ``flatten``, ``global_pool`` or another dense layer."""
        weights = self.channels * units
        self.channels = units
        self.parameters += weights + (units if bias else 0)
        self.flops += 2 * weights
        return self

    def cost(self) -> Cost:
        """The cost of the layers so far."""
        return Cost(self.parameters, self.flops)

    def _resize(self, height: int, width: int) -> None:
        if height < 1 or width < 1:
            raise ValueError(f"nothing is left of {self.height}x{self.width} pixels")
        self.height, self.width = height, width


Tally = CostCounter  # Its earlier name, which users' spaces import.
