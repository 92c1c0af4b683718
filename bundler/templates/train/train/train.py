"""Fits a line to points, and writes into /runs how well it goes."""

import os
import time

import numpy as np
from tensorboardX import SummaryWriter

RUNS = os.environ.get("RUNS", "/runs")
epochs, rate = int(os.environ.get("EPOCHS", "50")), float(os.environ.get("RATE", "0.1"))

chance = np.random.default_rng(1)
x = chance.uniform(-1, 1, 200)
y = 3 * x + 0.5 + chance.normal(0, 0.1, x.size)
slope, offset = 0.0, 0.0

with SummaryWriter(f"{RUNS}/{time.strftime('%Y%m%d-%H%M%S')}") as writer:
    for epoch in range(epochs):
        error = slope * x + offset - y
        loss = float(np.mean(error**2))
        slope -= rate * 2 * float(np.mean(error * x))
        offset -= rate * 2 * float(np.mean(error))
        writer.add_scalar("loss", loss, epoch)

print(f"after {epochs} epochs: y = {slope:.2f} x + {offset:.2f}, loss {loss:.4f}")
