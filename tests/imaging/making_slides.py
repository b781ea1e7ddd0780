"""Makes slides and pyramids such as scanners write: SVS-like, generic, OME, of JPEG in RGB and in YCbCr.

The JPEG tiles are abbreviated as libtiff writes them: the tables lie once in the directory, and no marker tells the
colour space. What is in them is invented.
"""

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, VLWholeSlideMicroscopyImageStorage, generate_uid

from pinakes.imaging.source import Pixels

APERIO = (
    "Aperio Image Library v12.0.15\r\n{width}x{height} [0,0 {width}x{height}] ({tile}x{tile}) JPEG/RGB Q=85|AppMag = 20"
    "|Date = 11/21/26|Time = 17:01:02|Time Zone = GMT+02:00|MPP = 0.4990|User = invented|ScanScope ID = SS1"
)


def tissue(width: int, height: int) -> Pixels:
    """A picture with soft and hard edges, in which no two places look alike, and red is never blue."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    red = 128 + 100 * np.sin(x / 23) * np.cos(y / 31)
    green = 255 * x / width
    blue = np.where((x // 16 + y // 16) % 2 == 0, 40, 90) + 100 * y / height
    colors: Pixels = np.clip(np.stack([red, green, blue], axis=2), 0, 255).astype(np.uint8)
    return colors


def halves(picture: Pixels, times: int) -> Pixels:
    """A picture at 1/2, 1/4, ... of its size, each pixel the mean of those it stands for."""
    for _ in range(times):
        height, width = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2
        blocks = picture[:height, :width].reshape(height // 2, 2, width // 2, 2, 3)
        picture = blocks.mean(axis=(1, 3)).astype(np.uint8)
    return picture


def abbreviated(jpeg: bytes) -> tuple[bytes, bytes]:
    """The tables of a JPEG as the field JPEGTables holds them, and the rest without them and without APP markers."""
    tables, rest, place = b"", b"", 2
    while jpeg[place + 1] != 0xDA:
        end = place + 2 + int.from_bytes(jpeg[place + 2 : place + 4])
        marker, segment = jpeg[place + 1], jpeg[place:end]
        if marker in (0xDB, 0xC4):
            tables += segment
        elif not 0xE0 <= marker <= 0xEF:
            rest += segment
        place = end
    return b"\xff\xd8" + tables + b"\xff\xd9", b"\xff\xd8" + rest + jpeg[place:]


def unnamed(jpeg: bytes) -> bytes:
    """A JPEG whose three components have the names that viewers take for YCbCr, whatever they are."""
    jpeg = jpeg.replace(b"\x03R\x11\0G\x11\0B\x11\0", b"\x03\x01\x11\0\x02\x11\0\x03\x11\0", 1)
    return jpeg.replace(b"\x03R\0G\0B\0", b"\x03\x01\0\x02\0\x03\0", 1)


def jpeg_of(tile: NDArray[np.uint8], *, rgb: bool, quality: int = 85) -> bytes:
    """A whole JPEG of a tile: in RGB, in YCbCr with halved colours, or in grey."""
    if tile.ndim == 2 or tile.shape[2] == 1:
        return bytes(imagecodecs.jpeg8_encode(tile, level=quality))
    if rgb:
        return bytes(imagecodecs.jpeg8_encode(tile, level=quality, colorspace="RGB", outcolorspace="RGB"))
    return bytes(
        imagecodecs.jpeg8_encode(tile, level=quality, colorspace="RGB", outcolorspace="YCBCR", subsampling=(2, 2))
    )


def write_jpeg_level(
    tiff: tifffile.TiffWriter,
    picture: NDArray[np.uint8],
    tile: int,
    *,
    rgb: bool,
    shared_tables: bool = True,
    missing: Sequence[int] = (),
    beyond: Literal["edge", "constant"] = "edge",
    **options: object,
) -> None:
    """One level of JPEG tiles. missing: tiles that are left out, by number.   options: of TiffWriter.write.

    beyond: what tiles hold outside of the picture: more of its edge, or black.
    """
    is_grey = picture.ndim == 2
    tables, _ = abbreviated(jpeg_of(picture[:tile, :tile], rgb=rgb))

    def tiles() -> Iterator[bytes]:
        number = 0
        for y in range(0, picture.shape[0], tile):
            for x in range(0, picture.shape[1], tile):
                part = picture[y : y + tile, x : x + tile]
                edges = ((0, tile - part.shape[0]), (0, tile - part.shape[1]), (0, 0))
                jpeg = jpeg_of(np.pad(part, edges[: picture.ndim], mode=beyond), rgb=rgb)
                yield b"" if number in missing else unnamed(abbreviated(jpeg)[1]) if shared_tables else jpeg
                number += 1

    tiff.write(
        tiles(),
        shape=picture.shape,
        dtype=np.uint8,
        tile=(tile, tile),
        compression="jpeg",
        compressionargs={"outcolorspace": "rgb"} if rgb else None,  # else it is marked as YCbCr
        photometric="minisblack" if is_grey else "rgb" if rgb else "ycbcr",
        subsampling=None if rgb or is_grey else (2, 2),
        jpegtables=tables if shared_tables else None,
        metadata=None,
        **options,  # type: ignore[arg-type]
    )


def write_svs(
    path: Path,
    picture: Pixels,
    *,
    tile: int = 240,
    rgb: bool = True,
    missing: Sequence[int] = (),
    missing_smaller: Sequence[int] = (),
) -> None:
    """As Aperio's scanners write: full size, thumbnail, a quarter, label, macro."""
    height, width = picture.shape[:2]
    text = APERIO.format(width=width, height=height, tile=tile)
    with tifffile.TiffWriter(path) as tiff:
        write_jpeg_level(tiff, picture, tile, rgb=rgb, missing=missing, description=text)
        tiff.write(halves(picture, 3), compression="jpeg", photometric="rgb", metadata=None, description=text)
        write_jpeg_level(tiff, halves(picture, 2), tile, rgb=rgb, missing=missing_smaller, description=text)
        for name, kind, color in (("label", 1, 200), ("macro", 9, 120)):
            beside = np.full((60, 90, 3), color, np.uint8)
            tiff.write(
                beside,
                photometric="rgb",
                compression="lzw" if name == "label" else None,
                rowsperstrip=60,
                subfiletype=kind,
                metadata=None,
                description=f"Aperio Image Library v12.0.15\r\n{name} 90x60",
            )


def write_pyramid(path: Path, picture: Pixels, *, tile: int = 256, rgb: bool = False, levels: int = 3) -> None:
    """A pyramid of JPEG tiles in the main chain, of no scanner's kind."""
    with tifffile.TiffWriter(path) as tiff:
        for level in range(levels):
            write_jpeg_level(
                tiff,
                halves(picture, level),
                tile,
                rgb=rgb,
                subfiletype=1 if level else 0,
                resolution=(40_000 / 2**level, 40_000 / 2**level),
                resolutionunit="centimeter",
                software="invented",
            )


def write_ome(path: Path, picture: Pixels, *, tile: int = 128, levels: int = 3) -> None:
    """An OME-TIFF in colour: smaller copies in SubIFDs, and a label image as a second picture."""
    with tifffile.TiffWriter(path, ome=True, bigtiff=True) as tiff:
        pixel = {"PhysicalSizeX": 0.25, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 250.0, "PhysicalSizeYUnit": "nm"}
        tiff.write(
            picture,
            tile=(tile, tile),
            photometric="rgb",
            compression="zlib",
            predictor=True,
            subifds=levels - 1,
            metadata={"axes": "YXS", "Name": "slide of a label", **pixel},
        )
        for level in range(1, levels):
            tiff.write(halves(picture, level), tile=(tile, tile), photometric="rgb", compression="zlib", subfiletype=1)
        label = np.full((40, 64, 3), 77, np.uint8)
        tiff.write(label, photometric="rgb", metadata={"axes": "YXS", "Name": "label image"})


def directory_bytes(fields: dict[int, int], following: int) -> bytes:
    """A little-endian directory of classic TIFF with numbers of 32 bits. following: where the next one lies, or 0."""
    table = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(fields.items()))
    return struct.pack("<H", len(fields)) + table + struct.pack("<I", following)


def chain_of_directories(count: int) -> bytes:
    """A TIFF file of directories of one pixel, each leading to the next."""
    one = np.frombuffer(directory_bytes({256: 1, 257: 1}, 0), np.uint8)
    chain = np.tile(one, (count, 1))
    following = (8 + (np.arange(count, dtype="<u4") + 1) * one.size).astype("<u4")
    following[-1] = 0
    chain[:, -4:] = following.view(np.uint8).reshape(count, 4)
    return b"II*\0" + struct.pack("<I", 8) + chain.tobytes()


def with_field(path: Path, tag: int, values: Sequence[int], *, directory: int = 0) -> None:
    """Overwrites a field's numbers in place, as a liar would."""
    with tifffile.TiffFile(path, mode="r+") as tiff:
        page = tiff.pages[directory]
        assert isinstance(page, tifffile.TiffPage)
        field = page.tags[tag]
        kind = {3: "H", 4: "I", 16: "Q"}[int(field.dtype)]
        tiff.filehandle.seek(field.valueoffset)
        tiff.filehandle.write(struct.pack(f"{tiff.byteorder}{len(values)}{kind}", *values))


def write_ndpi(path: Path, picture: Pixels) -> None:
    """As Hamamatsu's scanners write: each level one JPEG in one strip, and a macro picture."""
    with tifffile.TiffWriter(path) as tiff:
        for level, lens in ((picture, 20.0), (halves(picture, 1), 10.0), (halves(picture, 3), -1.0)):
            tiff.write(
                iter([jpeg_of(level, rgb=False)]),
                shape=level.shape,
                dtype=np.uint8,
                rowsperstrip=level.shape[0],
                compression="jpeg",
                photometric="ycbcr",
                subsampling=(2, 2),
                metadata=None,
                software="invented",
                extratags=[(65420, 4, 1, 1, True), (65421, 11, 1, lens, True), (65424, 9, 1, 0, True)],
            )


def write_wsi(path: Path, picture: Pixels, *, tile: int) -> None:
    """A DICOM whole slide of one level: JPEG tiles in YCbCr, TILED_FULL, half a micrometre per pixel."""
    rows, columns = -(-picture.shape[0] // tile), -(-picture.shape[1] // tile)
    edges = ((0, rows * tile - picture.shape[0]), (0, columns * tile - picture.shape[1]), (0, 0))
    padded = np.pad(picture, edges, mode="edge")
    frames = [
        jpeg_of(padded[y * tile : (y + 1) * tile, x * tile : (x + 1) * tile], rgb=False)
        for y in range(rows)
        for x in range(columns)
    ]
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = JPEGBaseline8Bit
    meta.MediaStorageSOPClassUID = VLWholeSlideMicroscopyImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    slide = Dataset()
    slide.file_meta = meta
    slide.SOPClassUID, slide.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    slide.StudyInstanceUID, slide.SeriesInstanceUID = "1.2.3.4", "1.2.3.5"
    slide.PatientName, slide.PatientID, slide.Modality = "Invented^Name", "P-1", "SM"
    slide.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    slide.AcquisitionDateTime = "20261121170102"
    slide.DimensionOrganizationType = "TILED_FULL"
    slide.NumberOfFrames = len(frames)
    slide.Rows = slide.Columns = tile
    slide.TotalPixelMatrixRows, slide.TotalPixelMatrixColumns = picture.shape[:2]
    slide.TotalPixelMatrixFocalPlanes = 1
    slide.SamplesPerPixel, slide.PhotometricInterpretation, slide.PlanarConfiguration = 3, "YBR_FULL_422", 0
    slide.BitsAllocated = slide.BitsStored = 8
    slide.HighBit, slide.PixelRepresentation = 7, 0
    measures, shared = Dataset(), Dataset()
    measures.PixelSpacing = [0.0005, 0.0005]
    shared.PixelMeasuresSequence = [measures]
    slide.SharedFunctionalGroupsSequence = [shared]
    slide.PixelData = encapsulate(frames)
    slide["PixelData"].is_undefined_length = True
    slide.save_as(path, enforce_file_format=True)
