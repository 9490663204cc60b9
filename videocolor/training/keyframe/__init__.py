"""Training the keyframe network: `videocolor train --config keyframe`."""
