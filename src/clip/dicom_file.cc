/*
 * DICOM through DCMTK: tags, sequences, all byte orders, deflated files, RLE and JPEG-LS. The pictures of JPEG and JPEG
 * 2000 are left as they are for FFmpeg (dicom_pixels.c); FFmpeg has no JPEG-LS with interleaved samples, and returns
 * black frames for it (findings/ffmpeg_jpegls_black_frame.sh).
 *
 * No exception leaves this file. DCMTK's own log, which may quote the contents of tags, is off.
 */
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmdata/dcfcache.h>
#include <dcmtk/dcmdata/dcistrmf.h>
#include <dcmtk/dcmdata/dcmetinf.h>
#include <dcmtk/dcmdata/dcpixel.h>
#include <dcmtk/dcmdata/dcpixseq.h>
#include <dcmtk/dcmdata/dcpxitem.h>
#include <dcmtk/dcmdata/dcrledec.h>
#include <dcmtk/dcmjpls/djdecode.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <vector>

extern "C" {
#include "echoquant/base.h"
}
#include "clip/dicom_file.h"
#include "clip/watch.h"

namespace
{

/* The items of the pixel sequence that make up one frame. */
struct fragments {
    unsigned long first, count;
};

constexpr size_t padding = 64; /* FFmpeg's readers look that far ahead */

} // namespace

struct eq_dicom {
    std::string path;
    eq_dicom_limits limits = {};
    DcmFileFormat file;
    DcmPixelData *pixels = nullptr;
    DcmPixelSequence *sequence = nullptr; /* encapsulated pixels */
    DcmFileCache cache;
    eq_dicom_info info = {};
    std::vector<double> times;
    std::vector<fragments> frames;
    std::vector<uint8_t> bytes, packed;
};

namespace
{

/* A refused `new` is met from the reserve, as small requests in C are; otherwise it throws. */
void meet_request()
{
    if (!eq_memory_refused(0))
        throw std::bad_alloc();
}

void set_up_dcmtk()
{
    static std::once_flag once;
    std::call_once(once, [] {
        std::set_new_handler(meet_request);
        OFLog::configure(OFLogger::OFF_LOG_LEVEL);
        dcmStopParsingAfterElement.set(DCM_PixelData); /* copies may end in zeros, which are no elements */
        DJLSDecoderRegistration::registerCodecs(EJLSUC_never, EJLSPC_colorByPixel);
    });
}

/* Runs fn, which returns a status, and turns what it throws into one. */
template <typename Fn> eq_status guarded(const char *path, eq_err *err, Fn fn) noexcept
{
    eq_status st;
    errno = 0; /* for eq_memory_ignored */
    try {
        st = fn();
    } catch (const std::bad_alloc &) {
        st = eq_fail(err, EQ_NOMEM, "%s: out of memory", path);
    } catch (const std::exception &e) {
        st = eq_fail(err, EQ_FORMAT, "%s: damaged DICOM file (%s)", path, e.what());
    } catch (...) {
        st = eq_fail(err, EQ_FORMAT, "%s: damaged DICOM file", path);
    }
    bool system = st == EQ_FORMAT && (errno == EIO || errno == EMFILE || errno == ENFILE);
    eq_memory_ignored();
    if (eq_memory_short())
        return eq_fail(err, EQ_NOMEM, "%s: out of memory", path);
    return system ? eq_fail_errno(err, "%s: cannot be read", path) : st; /* which DCMTK calls a cut-off file */
}

int number_of(DcmItem &item, const DcmTagKey &tag, int fallback)
{
    Uint16 word = 0;
    Sint32 number = 0;
    if (item.findAndGetUint16(tag, word).good())
        return word;
    return item.findAndGetSint32(tag, number).good() ? static_cast<int>(number) : fallback;
}

std::string text_of(DcmItem &item, const DcmTagKey &tag)
{
    OFString text;
    item.findAndGetOFString(tag, text);
    size_t end = text.find_last_not_of(std::string(" \0", 2).c_str(), OFString_npos, 2);
    return end == OFString_npos ? std::string() : std::string(text.c_str(), end + 1);
}

/* ---- what the pictures are ------------------------------------------------ */

eq_status read_coding(eq_dicom &d, E_TransferSyntax syntax, eq_err *err)
{
    switch (syntax) {
    case EXS_LittleEndianImplicit:
    case EXS_LittleEndianExplicit:
    case EXS_BigEndianExplicit:
    case EXS_DeflatedLittleEndianExplicit:
        d.info.coding = EQ_DICOM_NATIVE;
        return EQ_OK;
    case EXS_RLELossless:
        d.info.coding = EQ_DICOM_RLE;
        return EQ_OK;
    case EXS_JPEGProcess1:
    case EXS_JPEGProcess2_4:
    case EXS_JPEGProcess14:
    case EXS_JPEGProcess14SV1:
        d.info.coding = EQ_DICOM_JPEG;
        return EQ_OK;
    case EXS_JPEGLSLossless:
    case EXS_JPEGLSLossy:
        d.info.coding = EQ_DICOM_JPEG_LS;
        return EQ_OK;
    case EXS_JPEG2000LosslessOnly:
    case EXS_JPEG2000:
        d.info.coding = EQ_DICOM_JPEG_2000;
        return EQ_OK;
    default:
        return eq_fail(err, EQ_FORMAT,
                       "%s: its pictures have the unsupported coding \"%s\". Convert the file, for example with "
                       "gdcmconv --raw",
                       d.path.c_str(), DcmXfer(syntax).getXferName());
    }
}

eq_status read_color(eq_dicom &d, DcmDataset &data, eq_err *err)
{
    static const struct {
        const char *name;
        eq_dicom_color color;
        int samples;
    } known[] = {{"MONOCHROME1", EQ_DICOM_MONOCHROME1, 1}, {"MONOCHROME2", EQ_DICOM_MONOCHROME2, 1},
                 {"PALETTE COLOR", EQ_DICOM_PALETTE, 1},   {"RGB", EQ_DICOM_RGB, 3},
                 {"YBR_FULL", EQ_DICOM_YBR_FULL, 3},       {"YBR_FULL_422", EQ_DICOM_YBR_FULL_422, 3},
                 {"YBR_RCT", EQ_DICOM_YBR_RCT, 3},         {"YBR_ICT", EQ_DICOM_YBR_ICT, 3}};
    const std::string name = text_of(data, DCM_PhotometricInterpretation);
    for (const auto &k : known) {
        if (name != k.name)
            continue;
        d.info.color = k.color;
        if (d.info.samples != k.samples)
            break;
        bool wavelet = k.color == EQ_DICOM_YBR_RCT || k.color == EQ_DICOM_YBR_ICT;
        if (wavelet && d.info.coding != EQ_DICOM_JPEG_2000)
            break;
        if (k.color == EQ_DICOM_YBR_FULL_422 && d.info.coding == EQ_DICOM_NATIVE && (d.info.width % 2 || d.info.planar))
            break;
        return EQ_OK;
    }
    return eq_fail(err, EQ_FORMAT, "%s: pixels of %d samples in the color space \"%.20s\" are not supported",
                   d.path.c_str(), d.info.samples, name.c_str());
}

eq_status read_size(eq_dicom &d, DcmDataset &data, eq_err *err)
{
    eq_dicom_info &info = d.info;
    info.width = number_of(data, DCM_Columns, 0);
    info.height = number_of(data, DCM_Rows, 0);
    info.samples = number_of(data, DCM_SamplesPerPixel, 1);
    info.planar = number_of(data, DCM_PlanarConfiguration, 0) == 1 && info.samples == 3;
    if (info.width <= 0 || info.height <= 0)
        return eq_fail(err, EQ_FORMAT, "%s: damaged: its tags have no size of the pictures", d.path.c_str());
    if (int64_t{info.width} * info.height > d.limits.pixels)
        return eq_fail(err, EQ_FORMAT, "%s: frames of %d x %d pixels are larger than the limit of %lld pixels",
                       d.path.c_str(), info.width, info.height, static_cast<long long>(d.limits.pixels));
    int allocated = number_of(data, DCM_BitsAllocated, 0), stored = number_of(data, DCM_BitsStored, allocated);
    if (allocated != 8 || stored != 8 || number_of(data, DCM_PixelRepresentation, 0) != 0)
        return eq_fail(err, EQ_FORMAT, "%s: samples of %d bits (%d used%s) are not supported; ultrasound clips have 8",
                       d.path.c_str(), allocated, stored,
                       number_of(data, DCM_PixelRepresentation, 0) ? ", with a sign" : "");
    return EQ_OK;
}

/* One channel of a palette into column `channel`; entries of 16 bits keep their upper byte. */
bool read_channel(eq_dicom &d, DcmDataset &data, const DcmTagKey &descriptor, const DcmTagKey &table, int channel)
{
    Uint16 entries16 = 0, first = 0, bits = 0;
    const Uint16 *words = nullptr;
    unsigned long n_words = 0;
    Sint16 signed_first = 0;
    if (data.findAndGetUint16(descriptor, entries16, 0).bad() || data.findAndGetUint16(descriptor, bits, 2).bad() ||
        data.findAndGetUint16Array(table, words, &n_words).bad() || !words)
        return false;
    if (data.findAndGetUint16(descriptor, first, 1).bad() && data.findAndGetSint16(descriptor, signed_first, 1).good())
        first = static_cast<Uint16>(signed_first);
    unsigned long entries = entries16 ? entries16 : 65536;
    bool bytes = bits == 8 && n_words < entries; /* two entries a word */
    if ((bits != 8 && bits != 16) || (bytes ? 2 * n_words : n_words) < entries)
        return false;
    for (unsigned long v = 0; v < 256; v++) {
        unsigned long k = std::min(v > first ? v - first : 0, entries - 1);
        unsigned word = bytes ? words[k / 2] >> (8 * (k % 2)) : bits == 16 ? words[k] >> 8 : words[k];
        d.info.palette[v][channel] = static_cast<uint8_t>(word);
    }
    return true;
}

eq_status read_palette(eq_dicom &d, DcmDataset &data, eq_err *err)
{
    if (d.info.color != EQ_DICOM_PALETTE)
        return EQ_OK;
    if (read_channel(d, data, DCM_RedPaletteColorLookupTableDescriptor, DCM_RedPaletteColorLookupTableData, 0) &&
        read_channel(d, data, DCM_GreenPaletteColorLookupTableDescriptor, DCM_GreenPaletteColorLookupTableData, 1) &&
        read_channel(d, data, DCM_BluePaletteColorLookupTableDescriptor, DCM_BluePaletteColorLookupTableData, 2))
        return EQ_OK;
    return eq_fail(err, EQ_FORMAT, "%s: its palette is missing, cut off, or segmented", d.path.c_str());
}

bool is_ultrasound(DcmDataset &data)
{
    const std::string sop = text_of(data, DCM_SOPClassUID);
    return text_of(data, DCM_Modality) == "US" || sop == UID_UltrasoundMultiframeImageStorage ||
           sop == UID_RETIRED_UltrasoundMultiframeImageStorage;
}

/* The largest two-dimensional region of tissue, else of color flow (PS3.3, C.8.5.5). */
void read_region(eq_dicom &d, DcmDataset &data)
{
    DcmSequenceOfItems *regions = nullptr;
    int best_kind = 3;
    if (data.findAndGetSequence(DCM_SequenceOfUltrasoundRegions, regions).bad() || !regions)
        return;
    for (unsigned long i = 0; i < regions->card() && i < 1000; i++) {
        DcmItem &item = *regions->getItem(i);
        int format = number_of(item, DCM_RegionSpatialFormat, 0), kind = number_of(item, DCM_RegionDataType, 0);
        Uint32 x0 = 0, y0 = 0, x1 = 0, y1 = 0;
        if (format != 1 || (kind != 1 && kind != 2) || item.findAndGetUint32(DCM_RegionLocationMinX0, x0).bad() ||
            item.findAndGetUint32(DCM_RegionLocationMinY0, y0).bad() ||
            item.findAndGetUint32(DCM_RegionLocationMaxX1, x1).bad() ||
            item.findAndGetUint32(DCM_RegionLocationMaxY1, y1).bad())
            continue;
        x1 = std::min(x1, static_cast<Uint32>(d.info.width - 1));
        y1 = std::min(y1, static_cast<Uint32>(d.info.height - 1));
        if (x0 >= x1 || y0 >= y1)
            continue;
        eq_rect rect = {static_cast<int>(x0), static_cast<int>(y0), static_cast<int>(x1 - x0 + 1),
                        static_cast<int>(y1 - y0 + 1)};
        int64_t area = int64_t{rect.width} * rect.height;
        if (kind < best_kind || (kind == best_kind && area > int64_t{d.info.region.width} * d.info.region.height)) {
            d.info.region = rect;
            best_kind = kind;
        }
    }
}

/* ---- time ----------------------------------------------------------------- */

/* Frame Time Vector: the step to each frame from the one before it, in ms; the first is 0. */
bool read_time_vector(eq_dicom &d, DcmDataset &data)
{
    DcmElement *element = nullptr;
    OFVector<Float64> steps;
    if (data.findAndGetElement(DCM_FrameTimeVector, element).bad() || element->ident() != EVR_DS ||
        static_cast<DcmDecimalString *>(element)->getFloat64Vector(steps).bad() ||
        steps.size() != static_cast<size_t>(d.info.frames) || steps.size() < 2)
        return false;
    double at = 0, least = steps[1], most = steps[1];
    d.times.push_back(0);
    for (size_t i = 1; i < steps.size(); i++) {
        if (!std::isfinite(steps[i]) || steps[i] <= 0 || steps[i] > 1e6)
            return false;
        least = std::min(least, static_cast<double>(steps[i]));
        most = std::max(most, static_cast<double>(steps[i]));
        d.times.push_back(at += steps[i]);
    }
    d.info.fps = 1e3 * static_cast<double>(steps.size() - 1) / at;
    if (most > 1.01 * least) /* steps are often rounded to 1 ms or 0.1 ms; less is no variation */
        d.info.time_ms = d.times.data();
    return true;
}

/* A number (DS or IS) between lo and hi; 0: there is none. */
double number_within(DcmDataset &data, const DcmTagKey &tag, double lo, double hi)
{
    Float64 real = 0;
    Sint32 whole = 0;
    if (data.findAndGetFloat64(tag, real).bad())
        real = data.findAndGetSint32(tag, whole).good() ? whole : 0;
    return std::isfinite(real) && real > lo && real < hi ? real : 0;
}

void read_time(eq_dicom &d, DcmDataset &data)
{
    if (read_time_vector(d, data))
        return;
    d.times.clear();
    if (double step = number_within(data, DCM_FrameTime, 0.1, 1e5))
        d.info.fps = 1e3 / step;
    else if (double rate = number_within(data, DCM_CineRate, 0.01, 1e4))
        d.info.fps = rate;
    else
        d.info.fps = number_within(data, DCM_RecommendedDisplayFrameRate, 0.01, 1e4);
}

/* ---- where the frames are ------------------------------------------------- */

size_t native_frame_bytes(const eq_dicom_info &info)
{
    size_t pixels = static_cast<size_t>(info.width) * static_cast<size_t>(info.height);
    return info.color == EQ_DICOM_YBR_FULL_422 ? 2 * pixels : static_cast<size_t>(info.samples) * pixels;
}

eq_status cut_off(const eq_dicom &d, eq_err *err)
{
    return eq_fail(err, EQ_FORMAT, "%s: cut off: its tags say %d frames, but the file has fewer", d.path.c_str(),
                   d.info.frames);
}

/* Two bytes at the start of an item. */
unsigned first_word(DcmPixelItem &item, DcmFileCache &cache)
{
    Uint8 two[2] = {0, 0};
    if (item.getLength() < 2 || item.getPartialValue(two, 0, 2, &cache).bad())
        return 0;
    return static_cast<unsigned>(two[0]) << 8 | two[1];
}

/* The places in the pixel sequence at which frames start by the basic offset table. Empty: the table is, or is
 * wrong. */
std::vector<unsigned long> starts_by_table(eq_dicom &d)
{
    std::vector<unsigned long> starts;
    DcmPixelItem *table = nullptr;
    if (d.sequence->getItem(table, 0).bad() || table->getLength() % 4 || table->getLength() > 4 * d.sequence->card())
        return starts;
    size_t frames = table->getLength() / 4;
    std::vector<Uint8> bytes(4 * frames);
    if (table->getPartialValue(bytes.data(), 0, static_cast<Uint32>(bytes.size()), &d.cache).bad())
        return starts;
    uint64_t at = 0;
    unsigned long item_number = 1, count = d.sequence->card();
    for (size_t i = 0; i < frames; i++) {
        const Uint8 *b = &bytes[4 * i];
        uint64_t wanted = static_cast<uint64_t>(b[0]) | static_cast<uint64_t>(b[1]) << 8 |
                          static_cast<uint64_t>(b[2]) << 16 | static_cast<uint64_t>(b[3]) << 24;
        DcmPixelItem *item = nullptr;
        for (; at < wanted && item_number < count && d.sequence->getItem(item, item_number).good(); item_number++)
            at += 8 + static_cast<uint64_t>(item->getLength());
        if (at != wanted || item_number >= count || (i && item_number <= starts.back())) {
            starts.clear();
            return starts;
        }
        starts.push_back(item_number);
    }
    return starts;
}

/* The same by the marker that begins every picture of JPEG, JPEG-LS and JPEG 2000. */
std::vector<unsigned long> starts_by_marker(eq_dicom &d)
{
    std::vector<unsigned long> starts;
    unsigned marker = d.info.coding == EQ_DICOM_JPEG_2000 ? 0xff4f : 0xffd8;
    DcmPixelItem *item = nullptr;
    for (unsigned long i = 1; i < d.sequence->card() && d.info.coding != EQ_DICOM_RLE; i++)
        if (d.sequence->getItem(item, i).good() && first_word(*item, d.cache) == marker)
            starts.push_back(i);
    return starts;
}

/* The tag's number of frames is right in most files; where pieces, table and markers say otherwise, they count. */
eq_status find_fragments(eq_dicom &d, eq_err *err)
{
    unsigned long items = d.sequence->card(); /* the first is the offset table */
    std::vector<unsigned long> starts;
    if (items <= 1)
        return cut_off(d, err);
    if (items - 1 == static_cast<unsigned long>(d.info.frames) || d.info.coding == EQ_DICOM_RLE) /* one piece each */
        for (unsigned long i = 1; i < items; i++)
            starts.push_back(i);
    else if ((starts = starts_by_table(d)).empty())
        starts = starts_by_marker(d);
    size_t frames = starts.size();
    if (frames == 0 || starts[0] != 1)
        return eq_fail(err, EQ_FORMAT, "%s: damaged: %lu pieces of pictures cannot be divided into %d frames",
                       d.path.c_str(), items - 1, d.info.frames);
    d.info.frames = static_cast<int>(frames);
    for (size_t i = 0; i < frames; i++)
        d.frames.push_back({starts[i], (i + 1 < frames ? starts[i + 1] : items) - starts[i]});
    return EQ_OK;
}

eq_status find_pixels(eq_dicom &d, DcmDataset &data, eq_err *err)
{
    DcmElement *element = nullptr;
    if (data.findAndGetElement(DCM_PixelData, element).bad() || !(d.pixels = dynamic_cast<DcmPixelData *>(element)))
        return eq_fail(err, EQ_FORMAT, "%s: cut off before its pictures", d.path.c_str());
    E_TransferSyntax syntax = EXS_Unknown;
    const DcmRepresentationParameter *parameter = nullptr;
    d.pixels->getOriginalRepresentationKey(syntax, parameter);
    DcmPixelSequence *sequence = nullptr;
    if (d.pixels->getEncapsulatedRepresentation(syntax, parameter, sequence).good())
        d.sequence = sequence;
    if ((d.info.coding != EQ_DICOM_NATIVE) != (d.sequence != nullptr))
        return eq_fail(err, EQ_FORMAT, "%s: damaged: its pictures are not stored as its header says", d.path.c_str());
    if (d.sequence) {
        EQ_CHECK(find_fragments(d, err));
    } else {
        size_t bytes = native_frame_bytes(d.info), frames = d.pixels->getLength() / bytes;
        if (d.pixels->getLength() % bytes <= 1 && frames > 0) /* whole frames, perhaps with a byte of padding */
            d.info.frames = static_cast<int>(frames);
        else if (frames < static_cast<size_t>(d.info.frames))
            return cut_off(d, err);
    }
    if (d.info.frames > d.limits.frames)
        return eq_fail(err, EQ_TOO_LARGE, "%s: it has %d frames; 2 to %d are read", d.path.c_str(), d.info.frames,
                       d.limits.frames);
    return EQ_OK;
}

/* A file that ends when the time for the clip is over. */
class watched_stream : public DcmInputFileStream
{
  public:
    explicit watched_stream(const char *path) : DcmInputFileStream(path)
    {
    }
    OFBool good() const override
    {
        return !eq_clip_watch_ends(16) && DcmInputFileStream::good();
    }
    OFBool eos() override
    {
        return eq_clip_watch_ends(16) || DcmInputFileStream::eos();
    }
    offile_off_t read(void *to, offile_off_t bytes) override
    {
        return eq_clip_watch_ends(static_cast<size_t>(bytes)) ? 0 : DcmInputFileStream::read(to, bytes);
    }
};

/* DcmFileFormat::loadFile, which opens a stream of its own. */
OFCondition load(DcmFileFormat &file, const char *path)
{
    watched_stream in(path);
    if (in.status().bad())
        return in.status();
    file.transferInit();
    OFCondition loaded = file.read(in);
    file.transferEnd();
    return loaded;
}

/* DCMTK unpacks a deflated file whole, a thousand times its size if it was made for that: it is counted first. */
eq_status check_deflated(const eq_dicom &d, eq_err *err)
{
    constexpr uint64_t most = uint64_t{1} << 30;
    watched_stream in(d.path.c_str());
    DcmMetaInfo meta;
    meta.transferInit();
    meta.read(in, EXS_Unknown, EGL_noChange, DCM_MaxReadLength);
    meta.transferEnd();
    if (text_of(meta, DCM_TransferSyntaxUID) != UID_DeflatedExplicitVRLittleEndianTransferSyntax ||
        in.installCompressionFilter(ESC_zlib).bad())
        return EQ_OK;
    std::vector<uint8_t> piece(65536);
    uint64_t total = 0, got = 1;
    while (in.good() && !in.eos() && got > 0 && total <= most)
        total += got = static_cast<uint64_t>(in.read(piece.data(), static_cast<offile_off_t>(piece.size())));
    EQ_CHECK(eq_clip_watch(d.path.c_str(), 0, err));
    return total <= most
               ? EQ_OK
               : eq_fail(err, EQ_FORMAT, "%s: a deflated file of more than 1 GiB when unpacked is not supported",
                         d.path.c_str());
}

/* A package that carries DCMTK's library carries its dictionary, too: the library looks only where it was built. */
bool has_dictionary()
{
    if (dcmDataDict.isDictionaryLoaded())
        return true;
    char *path = eq_installed_file("dicom.dic");
    if (path) {
        dcmDataDict.wrlock().loadDictionary(path);
        dcmDataDict.wrunlock();
    }
    free(path);
    return dcmDataDict.isDictionaryLoaded();
}

eq_status open_file(eq_dicom &d, eq_err *err)
{
    set_up_dcmtk();
    if (!has_dictionary())
        return eq_fail(err, EQ_UNSUPPORTED,
                       "%s: DCMTK's data dictionary (dicom.dic) was not found, so DICOM files cannot be read. "
                       "Set DCMDICTPATH to its path",
                       d.path.c_str());
    EQ_CHECK(check_deflated(d, err));
    OFCondition loaded = load(d.file, d.path.c_str());
    EQ_CHECK(eq_clip_watch(d.path.c_str(), 0, err));
    if (loaded.bad())
        return eq_fail(err, EQ_FORMAT, "%s: a damaged or cut off DICOM file (%s)", d.path.c_str(), loaded.text());
    DcmDataset &data = *d.file.getDataset();
    d.info.ultrasound = is_ultrasound(data);
    d.info.frames = number_of(data, DCM_NumberOfFrames, data.tagExists(DCM_PixelData) ? 1 : 0);
    if (!d.info.ultrasound || d.info.frames == 0 || d.info.frames == 1)
        return EQ_OK; /* no clip, and no reason to look closer */
    EQ_CHECK(read_size(d, data, err));
    EQ_CHECK(read_coding(d, data.getOriginalXfer(), err));
    EQ_CHECK(read_color(d, data, err));
    EQ_CHECK(read_palette(d, data, err));
    read_region(d, data);
    EQ_CHECK(find_pixels(d, data, err));
    read_time(d, data);
    return EQ_OK;
}

/* ---- the bytes of a frame -------------------------------------------------- */

eq_status read_native(eq_dicom &d, int i, eq_err *err)
{
    size_t bytes = native_frame_bytes(d.info);
    d.bytes.assign(bytes + padding, 0);
    OFCondition read = d.pixels->getPartialValue(d.bytes.data(), static_cast<Uint32>(bytes * static_cast<size_t>(i)),
                                                 static_cast<Uint32>(bytes), &d.cache, EBO_LittleEndian);
    return read.good() ? EQ_OK : cut_off(d, err);
}

/* The items of a frame, one after the other, into `out`. */
eq_status read_items(eq_dicom &d, int i, std::vector<uint8_t> &out, eq_err *err)
{
    const fragments &f = d.frames[static_cast<size_t>(i)];
    size_t total = 0;
    DcmPixelItem *item = nullptr;
    for (unsigned long k = f.first; k < f.first + f.count; k++)
        if (d.sequence->getItem(item, k).good())
            total += item->getLength();
    /* No coding is much larger than what it codes. */
    if (total > 2 * native_frame_bytes(d.info) + (1u << 20))
        return eq_fail(err, EQ_FORMAT, "%s: damaged: frame %d takes %zu bytes", d.path.c_str(), i, total);
    out.assign(total + padding, 0);
    size_t at = 0;
    for (unsigned long k = f.first; k < f.first + f.count; k++) {
        if (d.sequence->getItem(item, k).bad())
            return cut_off(d, err);
        Uint32 length = item->getLength();
        if (length && item->getPartialValue(out.data() + at, 0, length, &d.cache).bad())
            return cut_off(d, err);
        at += length;
    }
    return EQ_OK;
}

uint32_t little32(const uint8_t *b)
{
    return static_cast<uint32_t>(b[0]) | static_cast<uint32_t>(b[1]) << 8 | static_cast<uint32_t>(b[2]) << 16 |
           static_cast<uint32_t>(b[3]) << 24;
}

/* A header of the number of segments and their starts, then a segment for each sample (PS3.5, annex G). */
eq_status unpack_rle(eq_dicom &d, int i, eq_err *err)
{
    const size_t plane = static_cast<size_t>(d.info.width) * static_cast<size_t>(d.info.height);
    const size_t len = d.packed.size() - padding, samples = static_cast<size_t>(d.info.samples);
    d.bytes.assign(samples * plane + padding, 0);
    bool good = len >= 64 && little32(d.packed.data()) == samples;
    for (size_t s = 0; s < samples && good; s++) {
        size_t start = little32(d.packed.data() + 4 + 4 * s);
        size_t end = s + 1 < samples ? little32(d.packed.data() + 8 + 4 * s) : len;
        good = start >= 64 && start < end && end <= len;
        if (!good)
            break;
        DcmRLEDecoder decoder(plane);
        decoder.decompress(d.packed.data() + start, end - start); /* bytes that fill up the segment are left over */
        good = decoder.size() == plane;
        if (good)
            std::memcpy(d.bytes.data() + s * plane, decoder.getOutputBuffer(), plane);
    }
    return good ? EQ_OK : eq_fail(err, EQ_FORMAT, "%s: frame %d is damaged (RLE)", d.path.c_str(), i);
}

eq_status unpack_jpeg_ls(eq_dicom &d, int i, eq_err *err)
{
    const size_t bytes =
        static_cast<size_t>(d.info.width) * static_cast<size_t>(d.info.height) * static_cast<size_t>(d.info.samples);
    Uint32 first = static_cast<Uint32>(d.frames[static_cast<size_t>(i)].first);
    OFString color;
    d.bytes.assign(bytes + bytes % 2 + padding, 0);
    OFCondition good =
        d.pixels->getUncompressedFrame(d.file.getDataset(), static_cast<Uint32>(i), first, d.bytes.data(),
                                       static_cast<Uint32>(bytes + bytes % 2), color, &d.cache);
    d.bytes.resize(bytes + padding);
    return good.good() ? EQ_OK : eq_fail(err, EQ_FORMAT, "%s: frame %d is damaged (JPEG-LS)", d.path.c_str(), i);
}

} // namespace

bool eq_dicom_built(void)
{
    return true;
}

const char *eq_dicom_version(void)
{
    return OFFIS_DCMTK_VERSION_STRING;
}

eq_status eq_dicom_open(const char *path, const eq_dicom_limits *limits, eq_dicom **out, eq_err *err)
{
    *out = nullptr;
    return guarded(path, err, [&]() -> eq_status {
        std::unique_ptr<eq_dicom> d(new eq_dicom);
        d->path = path;
        d->limits = *limits;
        EQ_CHECK(open_file(*d, err));
        *out = d.release();
        return EQ_OK;
    });
}

void eq_dicom_close(eq_dicom *d)
{
    delete d;
}

const eq_dicom_info *eq_dicom_about(const eq_dicom *d)
{
    return &d->info;
}

eq_status eq_dicom_frame(eq_dicom *d, int i, const uint8_t **data, size_t *len, eq_err *err)
{
    return guarded(d->path.c_str(), err, [&]() -> eq_status {
        if (d->info.coding == EQ_DICOM_NATIVE)
            EQ_CHECK(read_native(*d, i, err));
        else if (d->info.coding == EQ_DICOM_RLE) {
            EQ_CHECK(read_items(*d, i, d->packed, err));
            EQ_CHECK(unpack_rle(*d, i, err));
        } else if (d->info.coding == EQ_DICOM_JPEG_LS) {
            EQ_CHECK(unpack_jpeg_ls(*d, i, err));
        } else
            EQ_CHECK(read_items(*d, i, d->bytes, err));
        *data = d->bytes.data();
        *len = d->bytes.size() - padding;
        return EQ_OK;
    });
}
