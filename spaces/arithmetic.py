"""What a net costs, in plain arithmetic: the net written down once more, without Keras, and added up.

    Tally(32, 32, 3).conv(32, 3, padding="valid").pool().flatten().dense(128).dense(10).cost()

Counted are trainable parameters, and the multiply-adds of convolutions and dense layers as 2 operations each.
Biases, batch normalisation, activations and pooling are left out of the operations: a few per cent at most.
"""

from spaces.contract import Cost, InputSpec


class Tally:
    """The shape of one image on its way through a net, and what the layers so far have cost.

    Args:
        height: Of the input, pixels.
        width: Of the input, pixels.
        channels: Of the input.

    Attributes:
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
    def of(cls, input_spec: InputSpec) -> "Tally":
        """A tally that starts at a study's images."""
        return cls(input_spec.height, input_spec.width, input_spec.channels)

    def conv(self, filters: int, kernel: int, padding: str = "same", bias: bool = True) -> "Tally":
        """A square convolution of stride 1.

        Raises:
            ValueError: The image is smaller than the kernel, and ``padding`` is ``valid``.
        """
        weights = kernel * kernel * self.channels * filters
        if padding == "valid":
            self._resize(self.height - kernel + 1, self.width - kernel + 1)
        self.channels = filters
        self.parameters += weights + (filters if bias else 0)
        self.flops += 2 * weights * self.height * self.width
        return self

    def pool(self, size: int = 2) -> "Tally":
        """Pooling whose stride is its size, padding ``valid``: what does not fill a window is dropped.

        Raises:
            ValueError: The image is smaller than the window.
        """
        self._resize(self.height // size, self.width // size)
        return self

    def batch_norm(self, center: bool = True, scale: bool = True) -> "Tally":
        """Batch normalisation over the channels; moving mean and variance are not trainable."""
        self.parameters += self.channels * (center + scale)
        return self

    def flatten(self) -> "Tally":
        """All positions and channels in one row."""
        self.channels *= self.height * self.width
        self.height = self.width = 1
        return self

    def global_pool(self) -> "Tally":
        """The average or maximum over all positions."""
        self.height = self.width = 1
        return self

    def dense(self, units: int, bias: bool = True) -> "Tally":
        """A dense layer, after ``flatten`` or ``global_pool``."""
        weights = self.channels * units
        self.channels = units
        self.parameters += weights + (units if bias else 0)
        self.flops += 2 * weights
        return self

    def cost(self) -> Cost:
        """What the layers so far cost."""
        return Cost(self.parameters, self.flops)

    def _resize(self, height: int, width: int) -> None:
        if height < 1 or width < 1:
            raise ValueError(f"nothing is left of {self.height}x{self.width} pixels")
        self.height, self.width = height, width
