#!/usr/bin/env python3
"""Write small DICOM clips to tests/golden/dicom and, beside each, its frames as pydicom reads them.

data_dicom.py [FOLDER_OF_DCMTK_TOOLS]

NAME.dcm and NAME.rgb: [frames][height][width][3] bytes. Needs pydicom, numpy, pillow, pylibjpeg with its libjpeg,
openjpeg and rle plug-ins, and pyjpegls. lossless_jpeg*.dcm are written by DCMTK's dcmcjpeg, where the folder is given.
Names, dates and identifiers in the tags are made up, and every one of them holds the word SECRET: test_dicom.sh looks
for it in all that echoquant writes.
"""
import io
import subprocess
import sys
from pathlib import Path

import jpeg_ls
import numpy as np
from openjpeg.utils import encode_array
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import apply_color_lut, convert_color_space, pixel_array
from pydicom.uid import (DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian,
                         ImplicitVRLittleEndian, JPEG2000, JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless,
                         JPEGLSNearLossless, RLELossless)

HERE = Path(__file__).parent / "dicom"
FRAMES, HEIGHT, WIDTH = 3, 20, 26
UID = "1.2.826.0.1.3680043.8.498."


def picture(rng, frames=FRAMES, height=HEIGHT, width=WIDTH):
    """Smooth color with a little noise: [frames][height][width][3]."""
    y, x = np.mgrid[0:height, 0:width]
    out = np.empty((frames, height, width, 3))
    for i in range(frames):
        for c in range(3):
            out[i, ..., c] = 128 + 90 * np.sin(x / (5 + 2 * c) + i) * np.cos(y / (6 + c) - i * 0.7)
    return np.clip(out + rng.normal(0, 3, out.shape), 0, 255).astype(np.uint8)


def data_set(syntax, frames, height, width, samples, photometric, planar=0):
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.3.1"
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = UID + "1"
    ds.file_meta.TransferSyntaxUID = syntax
    ds.Modality = "US"
    ds.PatientName = "SECRET^NAME"
    ds.PatientID = "SECRET-ID-4711"
    ds.PatientBirthDate = "19610203"
    ds.StudyDate = "20230405"
    ds.StudyDescription = "SECRET description"
    ds.InstitutionName = "SECRET hospital"
    ds.Rows, ds.Columns, ds.NumberOfFrames = height, width, frames
    ds.SamplesPerPixel, ds.PhotometricInterpretation = samples, photometric
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    if samples == 3:
        ds.PlanarConfiguration = planar
    ds.FrameIncrementPointer = 0x00181063
    ds.FrameTime = "20"
    return ds


def save(ds, name, pixels, preamble=True):
    """pixels: bytes, or a list of the bytes of each frame or each list of its pieces."""
    if isinstance(pixels, list):
        ds.PixelData = encapsulate(pixels)
        ds["PixelData"].VR = "OB"
        ds["PixelData"].is_undefined_length = True
    else:
        ds.PixelData = pixels + b"\0" * (len(pixels) % 2)
        ds["PixelData"].VR = "OW" if ds.file_meta.TransferSyntaxUID == ExplicitVRBigEndian else "OB"
    path = HERE / f"{name}.dcm"
    if preamble:
        ds.save_as(path, enforce_file_format=True)
    else:
        meta = ds.file_meta
        del ds.file_meta
        ds.save_as(path, implicit_vr=True, little_endian=True)
        ds.file_meta = meta
    return path


def expect(path):
    """What pydicom reads, in RGB; gray three times, MONOCHROME1 turned around."""
    ds = dcmread(path, force=True)
    if "TransferSyntaxUID" not in ds.file_meta:
        ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    photometric = ds.PhotometricInterpretation
    encoded = ds.file_meta.TransferSyntaxUID.is_encapsulated and ds.file_meta.TransferSyntaxUID != RLELossless
    arr = pixel_array(ds, raw=True, **({"decoding_plugin": "pillow"} if encoded and "jpeg" in path.stem
                                        and "lossless" not in path.stem and "ls" not in path.stem else {}))
    arr = arr.reshape(ds.NumberOfFrames, ds.Rows, ds.Columns, -1)
    if photometric == "PALETTE COLOR":
        lut = apply_color_lut(arr[..., 0], ds)
        arr = lut if lut.dtype == np.uint8 else (lut >> 8).astype(np.uint8)
    elif photometric in ("YBR_FULL", "YBR_FULL_422"):
        arr = convert_color_space(arr, photometric, "RGB", per_frame=True)
    elif photometric == "MONOCHROME1":
        arr = 255 - arr
    if arr.shape[-1] == 1:
        arr = np.repeat(arr, 3, axis=-1)
    assert arr.dtype == np.uint8 and arr.shape[-1] == 3, (path, arr.dtype, arr.shape)
    path.with_suffix(".rgb").write_bytes(np.ascontiguousarray(arr).tobytes())


def jpeg(frame, **options):
    out = io.BytesIO()
    Image.fromarray(frame).save(out, "JPEG", quality=92, **options)
    return out.getvalue() + b"\0" * (out.tell() % 2)


def ybr(rgb):
    return convert_color_space(rgb, "RGB", "YBR_FULL", per_frame=True)


def native():
    rgb = picture(np.random.default_rng(1))
    size = rgb.shape[:3]
    for name, syntax in [("explicit", ExplicitVRLittleEndian), ("implicit", ImplicitVRLittleEndian),
                         ("deflated", DeflatedExplicitVRLittleEndian)]:
        save(data_set(syntax, *size, 3, "RGB"), f"{name}_rgb", rgb.tobytes())
    odd = picture(np.random.default_rng(2), 3, 15, 21) # frames of an odd number of bytes
    swapped = odd.tobytes() + b"\0"
    swapped = np.frombuffer(swapped, "<u2").astype(">u2").tobytes()
    save(data_set(ExplicitVRBigEndian, *odd.shape[:3], 3, "RGB"), "big_endian_odd_rgb", swapped)
    save(data_set(ExplicitVRLittleEndian, *odd.shape[:3], 3, "RGB"), "explicit_odd_rgb", odd.tobytes())
    planar = np.ascontiguousarray(rgb.transpose(0, 3, 1, 2))
    save(data_set(ExplicitVRLittleEndian, *size, 3, "RGB", 1), "planar_rgb", planar.tobytes())
    save(data_set(ImplicitVRLittleEndian, *size, 3, "RGB"), "no_preamble_rgb", rgb.tobytes(), preamble=False)
    save(data_set(ExplicitVRLittleEndian, *size, 1, "MONOCHROME2"), "mono2", rgb[..., 1].tobytes())
    save(data_set(ExplicitVRLittleEndian, *size, 1, "MONOCHROME1"), "mono1", rgb[..., 1].tobytes())
    save(data_set(ExplicitVRLittleEndian, *size, 3, "YBR_FULL"), "ybr_full", ybr(rgb).tobytes())
    # All 65,536 pairs of chroma, over three lumas.
    cb, cr = np.mgrid[0:256, 0:256].astype(np.uint8)
    every = np.stack([np.stack([np.full_like(cb, y), cb, cr], -1) for y in (0, 100, 255)])
    every_small = every[:, ::5, ::5]
    save(data_set(ExplicitVRLittleEndian, *every_small.shape[:3], 3, "YBR_FULL"), "ybr_full_chroma",
         every_small.tobytes())
    half = ybr(rgb)
    pairs = np.stack([half[:, :, 0::2, 0], half[:, :, 1::2, 0], half[:, :, 0::2, 1], half[:, :, 0::2, 2]], -1)
    save(data_set(ExplicitVRLittleEndian, *size, 3, "YBR_FULL_422"), "ybr_full_422", pairs.tobytes())


def palette():
    gray = picture(np.random.default_rng(3))[..., 0]
    for bits in (8, 16):
        ds = data_set(ExplicitVRLittleEndian, *gray.shape, 1, "PALETTE COLOR")
        first, entries = (0, 256) if bits == 16 else (20, 200)
        for c, color in enumerate(("Red", "Green", "Blue")):
            table = (np.arange(entries) * (3 + 2 * c) + 40 * c) % 256
            setattr(ds, f"{color}PaletteColorLookupTableDescriptor", [entries, first, bits])
            setattr(ds, f"{color}PaletteColorLookupTableData",
                    (table * 257).astype("<u2").tobytes() if bits == 16 else table.astype(np.uint8).tobytes())
        save(ds, f"palette{bits}", gray.tobytes())


def rle():
    from pydicom.pixels.encoders import RLELosslessEncoder
    rgb = picture(np.random.default_rng(4))
    flat = rgb // 32 * 32 # runs
    for name, arr, photometric in [("rle_rgb", rgb, "RGB"), ("rle_runs_rgb", flat, "RGB"),
                                   ("rle_ybr_full", ybr(rgb), "YBR_FULL"), ("rle_mono2", flat[..., 0], "MONOCHROME2")]:
        samples = 3 if arr.ndim == 4 else 1
        ds = data_set(RLELossless, *arr.shape[:3], samples, photometric)
        frames = [RLELosslessEncoder.encode(f, rows=arr.shape[1], columns=arr.shape[2], samples_per_pixel=samples,
                                            bits_allocated=8, bits_stored=8, pixel_representation=0,
                                            number_of_frames=1, photometric_interpretation=photometric,
                                            **({"planar_configuration": 0} if samples == 3 else {}))
                  for f in arr]
        save(ds, name, frames)


def baseline():
    rgb = picture(np.random.default_rng(5))
    size = rgb.shape[:3]
    save(data_set(JPEGBaseline8Bit, *size, 1, "MONOCHROME2"), "jpeg_mono2", [jpeg(f[..., 1]) for f in rgb])
    for name, sampling, photometric in [("444", 0, "YBR_FULL"), ("422", 1, "YBR_FULL_422"), ("420", 2, "YBR_FULL_422")]:
        save(data_set(JPEGBaseline8Bit, *size, 3, photometric), f"jpeg_{name}",
             [jpeg(f, subsampling=sampling) for f in rgb])
    save(data_set(JPEGBaseline8Bit, *size, 3, "RGB"), "jpeg_rgb", [jpeg(f, subsampling=0, keep_rgb=True) for f in rgb])
    odd = picture(np.random.default_rng(6), 3, 15, 21)
    save(data_set(JPEGBaseline8Bit, *odd.shape[:3], 3, "YBR_FULL_422"), "jpeg_422_odd",
         [jpeg(f, subsampling=1) for f in odd])
    save(data_set(JPEGBaseline8Bit, *odd.shape[:3], 3, "YBR_FULL_422"), "jpeg_420_odd",
         [jpeg(f, subsampling=2) for f in odd])
    # Frames of several items, with and without the table of their places.
    for name, table in [("jpeg_pieces_table", True), ("jpeg_pieces", False)]:
        ds = data_set(JPEGBaseline8Bit, *size, 3, "YBR_FULL_422")
        frames = [jpeg(f, subsampling=1) for f in rgb]
        ds.PixelData = encapsulate(frames, fragments_per_frame=2, has_bot=table)
        ds["PixelData"].VR = "OB"
        ds["PixelData"].is_undefined_length = True
        ds.save_as(HERE / f"{name}.dcm", enforce_file_format=True)


def other_codings():
    rgb = picture(np.random.default_rng(7), 2, 36, 40) # OpenJPEG's encoder wants 32 pixels a side
    size = rgb.shape[:3]

    def even(b):
        return bytes(b) + b"\0" * (len(b) % 2)

    def ls(frame, near=0):
        return even(jpeg_ls.encode_array(frame, lossy_error=near))

    save(data_set(JPEGLSLossless, *size, 1, "MONOCHROME2"), "ls_mono2", [ls(np.ascontiguousarray(f[..., 1])) for f in rgb])
    save(data_set(JPEGLSLossless, *size, 3, "RGB"), "ls_rgb", [ls(f) for f in rgb])
    save(data_set(JPEGLSNearLossless, *size, 3, "RGB"), "ls_near_rgb", [ls(f, 3) for f in rgb])

    def j2k(frame, mct, lossless):
        if lossless:
            return even(encode_array(frame, photometric_interpretation=1 if frame.ndim == 3 else 2,
                                              use_mct=mct))
        return even(encode_array(frame, photometric_interpretation=1 if frame.ndim == 3 else 2, use_mct=mct,
                                          compression_ratios=[6]))

    save(data_set(JPEG2000Lossless, *size, 1, "MONOCHROME2"), "j2k_mono2",
         [j2k(np.ascontiguousarray(f[..., 1]), False, True) for f in rgb])
    save(data_set(JPEG2000Lossless, *size, 3, "YBR_RCT"), "j2k_rct", [j2k(f, True, True) for f in rgb])
    save(data_set(JPEG2000Lossless, *size, 3, "RGB"), "j2k_rgb", [j2k(f, False, True) for f in rgb])
    save(data_set(JPEG2000Lossless, *size, 3, "YBR_FULL"), "j2k_ybr_full", [j2k(f, False, True) for f in ybr(rgb)])
    save(data_set(JPEG2000, *size, 3, "YBR_ICT"), "j2k_ict", [j2k(f, True, False) for f in rgb])


def lossless_jpeg(tools):
    for name in ("explicit_rgb", "mono2"):
        out = HERE / f"lossless_jpeg_{name.removeprefix('explicit_')}.dcm"
        subprocess.run([f"{tools}/dcmcjpeg", "+e1", "+un", HERE / f"{name}.dcm", out],
                       check=True)


def main():
    HERE.mkdir(exist_ok=True)
    native()
    palette()
    rle()
    baseline()
    other_codings()
    if len(sys.argv) > 1:
        lossless_jpeg(sys.argv[1])
    for path in sorted(HERE.glob("*.dcm")):
        expect(path)
        print(path.name)


if __name__ == "__main__":
    main()
