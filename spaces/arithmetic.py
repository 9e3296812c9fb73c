"""What a net costs, by plain arithmetic: the net is written down a second time, without Keras, and added up.

The one-layer net of the notebooks, for images of 32x32 pixels and 3 channels:

    >>> net = CostCounter(32, 32, 3).conv(32, 3, padding="valid").pool().flatten().dense(128).dense(10)
    >>> net.cost()
    Cost(parameters=923914, flops=3400960)

Counted are the trainable parameters, and the multiply-adds of convolutions and dense layers as 2 operations each. The
operations of biases, batch normalisation, activations and pooling are left out: they are a few per cent at most.

A net with branches has a counter for each, which are joined again. A residual block that halves the image:

    >>> net = CostCounter(32, 32, 16)
    >>> shortcut = net.branch().conv(32, 1, strides=2)
    >>> net.conv(32, 3, strides=2).conv(32, 3).add(shortcut).cost()
    Cost(parameters=14432, flops=7340032)
"""

from spaces.contract import Cost, InputSpec

SAME, VALID = "same", "valid"


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

    def conv(
        self, filters: int, kernel: int, padding: str = SAME, bias: bool = True, strides: int = 1
    ) -> "CostCounter":
        """A convolution with square kernels.

        Args:
            filters: How many there are.
            kernel: Their side, in pixels.
            padding: ``same`` or ``valid``, as in Keras.
            bias: Whether each filter has a bias.
            strides: The step from one position to the next, in pixels; as in Keras, it divides the image's sides.

        Raises:
            ValueError: The padding is ``valid``, and the image is smaller than the kernel.
        """
        weights = kernel * kernel * self.channels * filters
        self._slide(kernel, padding, strides)
        return self._weigh(weights, filters, bias)

    def depthwise(
        self, kernel: int, padding: str = SAME, bias: bool = True, strides: int = 1, multiplier: int = 1
    ) -> "CostCounter":
        """A depthwise convolution: each channel has filters of its own (Keras's ``DepthwiseConv2D``).

        Args:
            kernel: See ``conv``.
            padding: See ``conv``.
            bias: See ``conv``.
            strides: See ``conv``.
            multiplier: Filters of each channel.

        Raises:
            ValueError: See ``conv``.
        """
        weights = kernel * kernel * self.channels * multiplier
        self._slide(kernel, padding, strides)
        return self._weigh(weights, self.channels * multiplier, bias)

    def separable(
        self, filters: int, kernel: int, padding: str = SAME, bias: bool = True, strides: int = 1
    ) -> "CostCounter":
        """A depthwise convolution, and one of 1x1 after it that has the bias (Keras's ``SeparableConv2D``).

        See ``conv`` for its arguments.

        Raises:
            ValueError: See ``conv``.
        """
        return self.depthwise(kernel, padding, bias=False, strides=strides).conv(filters, 1, bias=bias)

    def pool(self, size: int = 2, strides: int | None = None, padding: str = VALID) -> "CostCounter":
        """Average or maximum pooling; with padding ``valid``, what does not fill a window is dropped.

        Args:
            size: The window's side, in pixels.
            strides: The step from one window to the next, in pixels; by default its size.
            padding: ``same`` or ``valid``, as in Keras.

        Raises:
            ValueError: The padding is ``valid``, and the image is smaller than the window.
        """
        self._slide(size, padding, strides or size)
        return self

    def branch(self) -> "CostCounter":
        """A counter of a branch that begins here, at no cost so far; ``add`` or ``concatenate`` joins it again."""
        return CostCounter(self.height, self.width, self.channels)

    def add(self, *branches: "CostCounter") -> "CostCounter":
        """Join branches by a layer that adds or multiplies numbers of the same place (Keras's ``Add``, ``Multiply``).

        A branch of one position, such as the gate of a squeeze-and-excitation block, meets every position. What
        branches cost is this counter's from now on, so that one that is joined a second time costs nothing more.

        Raises:
            ValueError: A branch leaves another shape.
        """
        for branch in branches:
            fits = branch.channels == self.channels and branch._sides in (self._sides, (1, 1))
            if not fits:
                raise ValueError(f"a branch of {branch._shape} cannot be added to {self._shape}")
            self._take(branch)
        return self

    def concatenate(self, *branches: "CostCounter") -> "CostCounter":
        """Join branches by laying their channels behind one another (Keras's ``Concatenate``); costs as in ``add``.

        Raises:
            ValueError: A branch leaves an image of another size.
        """
        channels = self.channels
        for branch in branches:
            if branch._sides != self._sides:
                raise ValueError(f"a branch of {branch._shape} cannot be concatenated to {self._shape}")
            channels += branch.channels
            self._take(branch)
        self.channels = channels
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
        """A dense layer; where neither ``flatten`` nor ``global_pool`` is before it, at each position, as in Keras."""
        return self._weigh(self.channels * units, units, bias)

    def cost(self) -> Cost:
        """The cost of the layers so far."""
        return Cost(self.parameters, self.flops)

    def _slide(self, window: int, padding: str, strides: int) -> None:
        """Leave as many positions as a window of this side has."""
        if padding not in (SAME, VALID):
            raise ValueError(f"padding {padding!r}: expected {SAME} or {VALID}")
        lost = window - 1 if padding == VALID else 0
        height, width = self.height - lost, self.width - lost
        if height < 1 or width < 1:
            raise ValueError(f"nothing is left of {self.height}x{self.width} pixels")
        self.height, self.width = -(-height // strides), -(-width // strides)

    def _weigh(self, weights: int, channels: int, bias: bool) -> "CostCounter":
        """Add weights that are multiplied once at each position that is left, and the biases of what they give."""
        self.channels = channels
        self.parameters += weights + (channels if bias else 0)
        self.flops += 2 * weights * self.height * self.width
        return self

    def _take(self, branch: "CostCounter") -> None:
        if branch is not self:
            self.parameters += branch.parameters
            self.flops += branch.flops
            branch.parameters = branch.flops = 0

    @property
    def _sides(self) -> tuple[int, int]:
        return self.height, self.width

    @property
    def _shape(self) -> str:
        return f"{self.height}x{self.width}x{self.channels}"


Tally = CostCounter  # Its earlier name, which users' spaces import.
