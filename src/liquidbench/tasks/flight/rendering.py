"""What a camera sees of a scene, drawn by MuJoCo without a screen.

MuJoCo is imported by `mujoco` alone, after a way to draw without a screen has been chosen: EGL, else OSMesa. A process
has one model and one renderer for each size of picture; layouts and seasons are written into them.
"""

import atexit
import importlib
import os
import sys
from ctypes.util import find_library
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liquidbench.system.resources import ResourceError
from liquidbench.tasks.flight import scenes
from liquidbench.tasks.flight.scenes import BALL, BOX, POST, Layout, Look

HEIGHT, WIDTH = 48, 64
"""Size of a policy's pictures in pixels."""

FIELD = 70.0
"""Field of view from top to bottom in degrees."""

HAZE = np.array([0.72, 0.74, 0.76])
"""Colour of fog."""

_GROUND, _SKY = 256, 32
_INSTALL = (
    "On Debian or Ubuntu: apt-get install libegl1 libegl-mesa0 libgl1-mesa-dri, or apt-get install libosmesa6 and set "
    "MUJOCO_GL=osmesa. On macOS nothing is to be installed: run it in a session with a screen, with MUJOCO_GL unset"
)


class NoRendererError(ResourceError):
    """Nothing can draw here; the message says what to install."""


@cache
def mujoco() -> Any:
    """MuJoCo, imported so that it can draw without a screen.

    ``MUJOCO_GL`` is respected where it is set. On Linux it is set here otherwise, to EGL if that library is there, else
    to OSMesa.

    Raises:
        ModuleNotFoundError: if MuJoCo is not installed.
        NoRendererError: if there is neither EGL nor OSMesa, or ``MUJOCO_GL`` names what is not there.
    """
    linux = sys.platform.startswith("linux")
    if linux and not os.environ.get("MUJOCO_GL"):
        found = [name for name, library in (("egl", "EGL"), ("osmesa", "OSMesa")) if find_library(library)]
        if not found:
            raise NoRendererError(f"flights need a renderer, and neither EGL nor OSMesa was found. {_INSTALL}")
        os.environ["MUJOCO_GL"] = found[0]
    if linux:
        # Mesa's threads gain nothing on small pictures, and take the processor from training.
        os.environ.setdefault("LP_NUM_THREADS", "0")
    try:
        return importlib.import_module("mujoco")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "flights are drawn by MuJoCo, which is not installed: pip install 'liquidrnn[flight]'"
        ) from error
    # MuJoCo imports what draws, and what PyOpenGL raises where a library is missing depends on the library.
    except Exception as error:
        raise _cannot_draw(error) from error


def _cannot_draw(error: Exception) -> NoRendererError:
    way = os.environ.get("MUJOCO_GL") or "unset"
    return NoRendererError(f"MuJoCo cannot draw here (MUJOCO_GL={way}): {type(error).__name__}: {error}. {_INSTALL}")


def _context(height: int, width: int) -> Any:
    way = os.environ.get("MUJOCO_GL", "")
    try:
        if sys.platform.startswith("linux") and way in ("egl", "osmesa"):
            # Another package may have imported MuJoCo before the choice was made.
            context = importlib.import_module(f"mujoco.{way}").GLContext(width, height)
        else:
            context = mujoco().GLContext(width, height)
        context.make_current()
    except ResourceError:
        raise
    # What PyOpenGL raises depends on the platform.
    except Exception as error:
        raise _cannot_draw(error) from error
    return context


def _model() -> str:
    """The MuJoCo model: a plane, as many solids as a layout has, a sun and a camera, all placed later."""
    solid = '<geom type="box" size=".1 .1 .1" contype="0" conaffinity="0"/>'
    return f"""
<mujoco>
  <visual>
    <quality offsamples="0" numslices="10" numstacks="6" numquads="1" shadowsize="0"/>
    <map znear="0.005" zfar="5"/>
  </visual>
  <statistic extent="20" center="0 0 0"/>
  <asset>
    <texture name="ground" type="2d" builtin="flat" width="{_GROUND}" height="{_GROUND}"/>
    <texture name="sky" type="skybox" builtin="gradient" width="{_SKY}" height="{6 * _SKY}"/>
    <material name="ground" texture="ground" texrepeat="12 12" specular="0" shininess="0"/>
  </asset>
  <worldbody>
    <light type="directional" castshadow="false" specular="0 0 0"/>
    <camera fovy="{FIELD}"/>
    <!-- The third size is the spacing of the grid in which the plane is drawn: at .1, it takes most of the time. -->
    <geom type="plane" size="90 90 10" material="ground"/>
    {solid * scenes.COUNT}
  </worldbody>
</mujoco>"""


class Camera:
    """Draws pictures of one size.

    Args:
        height: in pixels.
        width: in pixels.

    Example:
        >>> layout = scenes.draw([0])
        >>> picture = camera(48, 64).picture(layout, scenes.look(), np.array([0, 0, 1.3]), np.eye(3))
        >>> picture.shape, picture.dtype
        ((48, 64, 3), dtype('uint8'))
    """

    def __init__(self, height: int = HEIGHT, width: int = WIDTH):
        mj = mujoco()
        self._gl = _context(height, width)
        # OSMesa's cannot be freed once the interpreter ends, and says so.
        atexit.register(self._gl.free)
        self._mj, self._model = mj, mj.MjModel.from_xml_string(_model())
        self._data = mj.MjData(self._model)
        mj.mj_forward(self._model, self._data)
        self._model.vis.global_.offheight, self._model.vis.global_.offwidth = height, width
        self._context = mj.MjrContext(self._model, mj.mjtFontScale.mjFONTSCALE_100.value)
        mj.mjr_setBuffer(mj.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        self._scene = mj.MjvScene(self._model, maxgeom=scenes.COUNT + 8)
        for flag in ("SHADOW", "REFLECTION", "HAZE"):
            self._scene.flags[getattr(mj.mjtRndFlag, f"mjRND_{flag}")] = 0
        self._option, self._perturb, self._view = mj.MjvOption(), mj.MjvPerturb(), mj.MjvCamera()
        self._view.type, self._view.fixedcamid = mj.mjtCamera.mjCAMERA_FIXED, 0
        # A margin for a camera that is tilted, whose corners see farther to the sides.
        self._slope = 1.2 * np.tan(np.radians(FIELD) / 2) * width / height
        self._rect = mj.MjrRect(0, 0, width, height)
        self._buffer = np.empty((height, width, 3), dtype=np.uint8)
        kinds = {BOX: "BOX", BALL: "SPHERE", POST: "CYLINDER"}
        self._kinds = np.array([getattr(mj.mjtGeom, f"mjGEOM_{kinds[kind]}").value for kind in sorted(kinds)])
        self._drawn: tuple[Layout, Look] | None = None
        self._look: Look | None = None

    def picture(
        self, layout: Layout, look: Look, position: NDArray[np.float64], rotation: NDArray[np.float64]
    ) -> NDArray[np.uint8]:
        """What a camera sees that looks ahead.

        Args:
            layout: what stands where.
            look: its colours.
            position: (3,), of the camera in metres.
            rotation: (3, 3), whose columns are the directions ahead, to the left and up.

        Returns:
            uint8 (height, width, 3).
        """
        return self._drawing(layout, look, position, rotation).copy()

    def target(
        self,
        layout: Layout,
        look: Look,
        position: NDArray[np.float64],
        rotation: NDArray[np.float64],
        number: int = 0,
    ) -> NDArray[np.bool_]:
        """Which pixels of a `picture` show a target, (height, width), fog aside.

        Args:
            layout: as of `picture`.
            look: as of `picture`.
            position: as of `picture`.
            rotation: as of `picture`.
            number: which of the targets, in their order.
        """
        flags = [getattr(self._mj.mjtRndFlag, f"mjRND_{flag}") for flag in ("SEGMENT", "IDCOLOR")]
        for flag in flags:
            self._scene.flags[flag] = 1
        try:
            colours = self._drawing(layout, look, position, rotation).astype(np.int64)
        finally:
            for flag in flags:
                self._scene.flags[flag] = 0
        # A colour is the number of a geom in the scene, which leaves some of the model out.
        numbers = colours @ (1, 2**8, 2**16)
        first = 1 + scenes.COUNT - scenes.PARTS * (scenes.MOST_TARGETS - number)
        geoms = self._scene.geoms[: self._scene.ngeom]
        shown = [one.segid + 1 for one in geoms if one.segid >= 0 and first <= one.objid < first + scenes.PARTS]
        return np.isin(numbers, shown)

    def _drawing(
        self, layout: Layout, look: Look, position: NDArray[np.float64], rotation: NDArray[np.float64]
    ) -> NDArray[np.uint8]:
        """A view of what was drawn last."""
        mj = self._mj
        self._gl.make_current()
        if self._drawn is None or self._drawn[0] is not layout or self._drawn[1] is not look:
            self._dress(look)
            self._place(layout, look)
            self._drawn = (layout, look)
        self._data.cam_xpos[0] = position
        ahead, left, up = rotation.T
        # Solids out of view take time as well: MuJoCo leaves out those that are transparent.
        depths, offsets = ((layout.positions - position) @ np.stack([ahead, left], axis=1)).T
        seen = np.abs(offsets) < self._slope * (depths + layout.reach) + layout.reach
        self._model.geom_rgba[1:, 3] = seen
        # A camera of MuJoCo looks along its negative z axis.
        self._data.cam_xmat[0] = np.stack([-left, up, -ahead], axis=1).ravel()
        every = mj.mjtCatBit.mjCAT_ALL.value
        mj.mjv_updateScene(self._model, self._data, self._option, self._perturb, self._view, every, self._scene)
        mj.mjr_render(self._rect, self._scene, self._context)
        mj.mjr_readPixels(self._buffer, None, self._rect, self._context)
        return self._buffer[::-1]

    def _place(self, layout: Layout, look: Look) -> None:
        model, data, solids = self._model, self._data, slice(1, None)
        model.geom_type[solids] = self._kinds[layout.kinds]
        model.geom_size[solids] = layout.sizes
        crowns = np.cumsum(layout.foliage)[layout.foliage] % len(look.foliage)
        colours = layout.colours.copy()
        colours[layout.foliage] *= look.foliage[crowns]
        model.geom_rgba[solids, :3] = np.clip(colours, 0, 1)
        model.mat_rgba[0] = (*[layout.tint] * 3, 1)
        data.geom_xpos[solids] = layout.positions
        data.geom_xmat[solids] = layout.rotations
        data.light_xdir[0] = layout.sun
        model.light_diffuse[0] = layout.brightness * look.sun
        model.vis.headlight.ambient[:] = layout.brightness * look.ambient
        model.vis.headlight.diffuse[:], model.vis.headlight.specular[:] = 0, 0

    def _dress(self, look: Look) -> None:
        if self._look is look:
            return
        self._look = look
        mj, foggy = self._mj, look.fog > 0
        ground = scenes.pattern(_GROUND) @ look.ground
        # Elevation of each point of the faces of a cube: right, left, up, down, front, back.
        side = np.linspace(-1, 1, _SKY)
        across, down = np.meshgrid(side, side)
        sideways = np.arctan2(-down, np.hypot(across, 1))
        over = np.arctan2(1, np.hypot(across, down))
        elevation = np.concatenate([sideways, sideways, over, -over, sideways, sideways])
        share = np.clip(elevation / (np.pi / 3), 0, 1)[..., None] ** 0.7
        sky = (1 - share) * look.horizon + share * look.zenith
        self._scene.flags[mj.mjtRndFlag.mjRND_FOG] = foggy
        if foggy:
            # MuJoCo hands these distances to OpenGL when a context is made, and not again.
            from OpenGL import GL

            GL.glFogf(GL.GL_FOG_START, 0.0)
            GL.glFogf(GL.GL_FOG_END, 1 / look.fog)
            # The colour is handed on in each picture, but after the first solids.
            self._context.fogRGBA[:] = (*HAZE, 1)
            GL.glFogfv(GL.GL_FOG_COLOR, (*HAZE, 1.0))
        for number, colours in enumerate((ground, sky)):
            start = self._model.tex_adr[number]
            content = np.round(255 * np.clip(colours, 0, 1)).astype(np.uint8).ravel()
            self._model.tex_data[start : start + len(content)] = content
            mj.mjr_uploadTexture(self._model, self._context, number)


@cache
def camera(height: int = HEIGHT, width: int = WIDTH) -> Camera:
    """The process's camera for pictures of a size."""
    return Camera(height, width)
