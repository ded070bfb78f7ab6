"""Link by link: path loss, shadowing, packet error, fate. (n,) senders' rows against (R,) receivers.

Random numbers are counter-based: SplitMix64 over (key, purpose, ids, counter), so a draw depends on nothing but the link and the
message: not on order, tick size, threads, or stations elsewhere.
"""

from typing import Any

import numpy as np

from protocols.jit import helper, kernel

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_S30 = np.uint64(30)
_S27 = np.uint64(27)
_S31 = np.uint64(31)
_S11 = np.uint64(11)
_S52 = np.uint64(52)

DELIVERED = 1
OUT_OF_RANGE = 2
BELOW_SENSITIVITY = 3
PROPAGATION = 4


@helper
def _mix(state: Any, word: Any) -> Any:
    # SplitMix64's output function over (state + word): Steele, Lea, Flood, OOPSLA 2014.
    z = state + word * _GAMMA + _GAMMA
    z = (z ^ (z >> _S30)) * _M1
    z = (z ^ (z >> _S27)) * _M2
    return z ^ (z >> _S31)


@kernel
def range_loss(
    key: Any,
    t_ns: int,
    tx_id: Any,
    tx_x: Any,
    tx_y: Any,
    tx_h: Any,
    tx_seq: Any,
    rx_id: Any,
    rx_x: Any,
    rx_y: Any,
    rx_h: Any,
    params: Any,
    error: Any,
    normal: Any,
    fate: Any,
) -> None:
    """Fills `fate` (n, R); see `channel.RangeLossChannel` for `params`. `error` is the packet error on a grid of `step` dB.

    WINNER+ B1 line of sight: 22.7 log10 d + 27 + 20 log10 f up to the breakpoint 4 h1 h2 f / c, beyond it
    40 log10 d + 7.56 - 17.3 log10 h1 - 17.3 log10 h2 + 2.7 log10 f; never below free space. d at least 3 m.
    """
    gain = params[0]  # transmit power and antennas, dBm
    frequency = params[1]  # GHz
    environment = params[2]  # m
    noise = params[3]
    sensitivity = params[4]
    sigma = params[5]
    period = params[6]  # ns
    reach2 = params[7] * params[7]
    low = params[8]
    per_db = params[9]
    floor = params[10]
    log_f = np.log10(frequency)
    near = 27.0 + 20.0 * log_f
    far = 7.56 + 2.7 * log_f
    free = 46.4 + 20.0 * (log_f - np.log10(5.0))
    break_per_m2 = 4.0 * frequency * 1e9 / 299792458.0
    block = np.int64(t_ns // np.int64(period))
    part = (t_ns - block * period) / period
    blend = 1.0 / np.sqrt((1.0 - part) * (1.0 - part) + part * part)
    shadow_key = _mix(key, np.uint64(1))
    error_key = _mix(key, np.uint64(2))
    first = _mix(shadow_key, np.uint64(block))
    second = _mix(shadow_key, np.uint64(block + 1))
    last = error.size - 1
    for j in range(rx_id.size):
        hr = max(rx_h[j] - environment, 0.1)
        log_hr = np.log10(hr)
        for i in range(tx_id.size):
            a = np.uint64(tx_id[i])
            b = np.uint64(rx_id[j])
            if a == b:
                fate[i, j] = 0
                continue
            dx = tx_x[i] - rx_x[j]
            dy = tx_y[i] - rx_y[j]
            d2 = dx * dx + dy * dy
            if d2 > reach2:
                fate[i, j] = OUT_OF_RANGE
                continue
            log_d = 0.5 * np.log10(max(d2, 9.0))
            ht = max(tx_h[i] - environment, 0.1)
            bp = break_per_m2 * ht * hr
            if d2 < bp * bp:
                loss = 22.7 * log_d + near
            else:
                loss = 40.0 * log_d + far - 17.3 * (np.log10(ht) + log_hr)
            loss = max(loss, 20.0 * log_d + free)
            if sigma > 0.0:
                link = (min(a, b) << np.uint64(32)) | max(a, b)  # the same both ways
                z0 = normal[_mix(first, link) >> _S52]
                z1 = normal[_mix(second, link) >> _S52]
                loss += sigma * blend * ((1.0 - part) * z0 + part * z1)
            power = gain - loss
            if power < sensitivity:
                fate[i, j] = BELOW_SENSITIVITY
                continue
            place = (power - noise - low) * per_db
            if place < 0.0:
                chance = 1.0
            elif place >= last:
                chance = floor
            else:
                cell = int(place)
                chance = error[cell] + (place - cell) * (error[cell + 1] - error[cell])
            link = (a << np.uint64(32)) | b
            draw = _mix(_mix(error_key, link), np.uint64(tx_seq[i])) >> _S11
            uniform = np.float64(draw) * (1.0 / 9007199254740992.0)
            fate[i, j] = PROPAGATION if uniform < chance else DELIVERED
