/* The transport over PCI: virtio 1.2, 4.1, and the initialisation of 3.1. */
#include "user/vmm/virtio.h"

#include <linux/kvm.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/ioctl.h>

#include "user/vmm/say.h"

enum { VENDOR = 0x1af4, FIRST_DEVICE = 0x1040, SUBSYSTEM = 0x1100 };
enum { PAGE = 0x1000, COMMON = 0, ISR = 0x1000, DEVICE = 0x2000, NOTIFY = 0x3000 };
enum { VECTORS = 0x4000, PENDING = 0x5000 };
enum { NOTIFY_STEP = 4, ISR_QUEUE = 1 };

#define FEATURES (1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC)

/* Back to what the device is before its driver comes. The bus keeps its settings. */
static void reset(struct virtio *d)
{
    struct virtio_state *s = &d->state;

    s->driver_features = 0;
    s->device_feature_select = s->driver_feature_select = 0;
    s->queue_select = 0;
    s->config_vector = VIRTIO_MSI_NO_VECTOR;
    s->status = s->isr = 0;
    for (unsigned q = 0; q < VIRTIO_QUEUES; q++)
        s->queue[q] = (struct virtqueue){.size = QUEUE_SIZE, .vector = VIRTIO_MSI_NO_VECTOR};
}

static unsigned add_structure(struct virtio *d, uint8_t kind, uint32_t offset, uint32_t length)
{
    struct virtio_pci_notify_cap cap = {
        .cap = {.cap_vndr = PCI_CAP_ID_VNDR,
                .cap_len = kind == VIRTIO_PCI_CAP_NOTIFY_CFG || kind == VIRTIO_PCI_CAP_PCI_CFG
                               ? sizeof(cap)
                               : sizeof(cap.cap),
                .cfg_type = kind,
                .offset = offset,
                .length = length},
        .notify_off_multiplier = kind == VIRTIO_PCI_CAP_NOTIFY_CFG ? NOTIFY_STEP : 0,
    };
    return pci_add_capability(&d->state.pci, &cap, cap.cap.cap_len);
}

/* The last of the capabilities, for its length is not in it. */
static void add_msix(struct virtio *d)
{
    struct {
        uint8_t id, next;
        uint16_t control;
        uint32_t table, pending;
    } cap = {PCI_CAP_ID_MSIX, 0, VIRTIO_VECTORS - 1, VECTORS, PENDING};

    d->msix = pci_add_capability(&d->state.pci, &cap, sizeof(cap));
    pci_set(&d->state.pci, d->msix + PCI_MSIX_FLAGS, 2, cap.control,
            PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    for (unsigned i = 0; i < VIRTIO_VECTORS; i++)
        d->state.vector[i].control = PCI_MSIX_ENTRY_CTRL_MASKBIT;
}

void virtio_init(struct virtio *d, const struct virtio_type *type, struct guest_memory guest,
                 uint32_t bar, uint8_t irq, int vm_fd)
{
    struct pci_function *pci = &d->state.pci;

    *d = (struct virtio){.type = type, .guest = guest, .fd = -1, .irq = irq, .vm_fd = vm_fd};
    d->features = FEATURES | type->features;
    pci_init(pci, (struct pci_identity){VENDOR, FIRST_DEVICE + type->id, SUBSYSTEM, type->class});
    pci_set(pci, PCI_BASE_ADDRESS_0, 4, bar, ~(VIRTIO_BAR_SIZE - 1u));
    pci_set(pci, PCI_INTERRUPT_LINE, 1, irq, 0xff);
    pci_set(pci, PCI_INTERRUPT_PIN, 1, 1, 0);
    add_structure(d, VIRTIO_PCI_CAP_COMMON_CFG, COMMON, sizeof(struct virtio_pci_common_cfg));
    add_structure(d, VIRTIO_PCI_CAP_NOTIFY_CFG, NOTIFY, NOTIFY_STEP * type->queues);
    add_structure(d, VIRTIO_PCI_CAP_ISR_CFG, ISR, 1);
    if (type->config_size)
        add_structure(d, VIRTIO_PCI_CAP_DEVICE_CFG, DEVICE, type->config_size);
    d->window = add_structure(d, VIRTIO_PCI_CAP_PCI_CFG, 0, 0);
    pci_set(pci, d->window + VIRTIO_PCI_CAP_BAR, 1, 0, 0xff);
    pci_set(pci, d->window + VIRTIO_PCI_CAP_OFFSET, 4, 0, UINT32_MAX);
    pci_set(pci, d->window + VIRTIO_PCI_CAP_LENGTH, 4, 0, UINT32_MAX);
    if (vm_fd >= 0)
        add_msix(d);
    reset(d);
}

static unsigned msix_control(const struct virtio *d)
{
    return d->msix ? pci_get(&d->state.pci, d->msix + PCI_MSIX_FLAGS, 2) : 0;
}

bool virtio_line(const struct virtio *d)
{
    return d->state.isr && !(msix_control(d) & PCI_MSIX_FLAGS_ENABLE) &&
           !(pci_get(&d->state.pci, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE);
}

/* The driver is up, and no rule was broken. */
static bool alive(const struct virtio *d)
{
    return d->state.status & VIRTIO_CONFIG_S_DRIVER_OK &&
           !(d->state.status & VIRTIO_CONFIG_S_NEEDS_RESET) &&
           pci_get(&d->state.pci, PCI_COMMAND, 2) & PCI_COMMAND_MASTER;
}

/* Sends the messages that wait and are not masked. */
static void send_pending(struct virtio *d)
{
    struct virtio_state *s = &d->state;
    unsigned control = msix_control(d);

    if (!(control & PCI_MSIX_FLAGS_ENABLE) || control & PCI_MSIX_FLAGS_MASKALL)
        return;
    for (unsigned i = 0; i < VIRTIO_VECTORS; i++) {
        const struct msix_vector *v = &s->vector[i];
        if (!(s->pending & 1u << i) || v->control & PCI_MSIX_ENTRY_CTRL_MASKBIT)
            continue;
        struct kvm_msi msi = {
            .address_lo = v->address, .address_hi = v->address_high, .data = v->data};
        s->pending &= ~(1ull << i);
        ioctl(d->vm_fd, KVM_SIGNAL_MSI, &msi);
    }
}

/* Tells the driver: by a message, or by the interrupt line and a bit of the ISR. */
static void interrupt(struct virtio *d, uint16_t vector, uint8_t isr)
{
    if (!(msix_control(d) & PCI_MSIX_FLAGS_ENABLE))
        d->state.isr |= isr;
    else if (vector < VIRTIO_VECTORS)
        d->state.pending |= 1u << vector;
    send_pending(d);
}

static void give_up(struct virtio *d, unsigned q, const char *wrong)
{
    if (!d->complained)
        say("virtio %s: queue %u: %s", d->type->name, q, wrong);
    d->complained = true;
    d->state.status |= VIRTIO_CONFIG_S_NEEDS_RESET;
    interrupt(d, d->state.config_vector, VIRTIO_PCI_ISR_CONFIG);
}

bool virtio_take(struct virtio *d, unsigned q, struct chain *c)
{
    struct virtqueue *queue = &d->state.queue[q];

    if (!alive(d) || !queue_ready(queue, d->guest))
        return false;
    const char *wrong = queue_take(queue, d->guest, c);
    if (wrong)
        give_up(d, q, wrong);
    return !wrong;
}

void virtio_give(struct virtio *d, unsigned q, const struct chain *c, uint32_t written)
{
    if (queue_give(&d->state.queue[q], d->guest, c, written))
        interrupt(d, d->state.queue[q].vector, ISR_QUEUE);
}

/* Serves what is there, but no more than a queue full at a time: the guest may add without end. */
static void serve(struct virtio *d, unsigned q)
{
    struct chain c;

    d->state.queue[q].more = false;
    for (unsigned n = 0; n < QUEUE_SIZE; n++) {
        uint32_t written = 0;
        if (!virtio_take(d, q, &c))
            return;
        const char *wrong = d->type->serve(d, q, &c, &written);
        if (wrong) {
            give_up(d, q, wrong);
            return;
        }
        virtio_give(d, q, &c, written);
    }
    d->state.queue[q].more = true;
}

bool virtio_go_on(struct virtio *d)
{
    bool more = false;

    for (unsigned q = 0; q < d->type->queues; q++) {
        if (d->state.queue[q].more)
            serve(d, q);
        more |= d->state.queue[q].more;
    }
    return more;
}

static void notify(struct virtio *d, unsigned q)
{
    if (q < d->type->queues && !(d->type->waiting & 1u << q))
        serve(d, q);
}

static void set_status(struct virtio *d, uint8_t value)
{
    struct virtio_state *s = &d->state;
    uint64_t asked = s->driver_features;

    if (!value) {
        reset(d);
        return;
    }
    if (asked & ~d->features || !(asked & 1ull << VIRTIO_F_VERSION_1))
        value &= (uint8_t)~VIRTIO_CONFIG_S_FEATURES_OK;
    if (!((value | s->status) & VIRTIO_CONFIG_S_FEATURES_OK))
        value &= (uint8_t)~VIRTIO_CONFIG_S_DRIVER_OK;
    s->status |= value & (uint8_t)~VIRTIO_CONFIG_S_NEEDS_RESET;
}

static struct virtio_pci_common_cfg common(const struct virtio *d)
{
    const struct virtio_state *s = &d->state;
    struct virtio_pci_common_cfg c = {
        .device_feature_select = s->device_feature_select,
        .guest_feature_select = s->driver_feature_select,
        .msix_config = s->config_vector,
        .num_queues = (uint16_t)d->type->queues,
        .device_status = s->status,
        .config_generation = s->generation,
        .queue_select = s->queue_select,
    };
    if (s->device_feature_select < 2)
        c.device_feature = (uint32_t)(d->features >> 32 * s->device_feature_select);
    if (s->driver_feature_select < 2)
        c.guest_feature = (uint32_t)(s->driver_features >> 32 * s->driver_feature_select);
    if (s->queue_select >= d->type->queues)
        return c;
    const struct virtqueue *q = &s->queue[s->queue_select];
    c.queue_size = q->size;
    c.queue_msix_vector = q->vector;
    c.queue_enable = q->enabled;
    c.queue_notify_off = s->queue_select;
    memcpy(&c.queue_desc_lo, &q->descriptors, 8);
    memcpy(&c.queue_avail_lo, &q->available, 8);
    memcpy(&c.queue_used_lo, &q->used, 8);
    return c;
}

/* The driver sets half an address of a queue. */
static void set_half(uint64_t *address, bool high, uint32_t value)
{
    memcpy((uint8_t *)address + (high ? 4 : 0), &value, sizeof(value));
}

static uint16_t checked_vector(const struct virtio *d, uint32_t value)
{
    return d->msix && value < VIRTIO_VECTORS ? (uint16_t)value : VIRTIO_MSI_NO_VECTOR;
}

/* The fields of the selected queue, which, but for the vector, stay once it is enabled. */
static void set_queue_field(struct virtio *d, unsigned at, uint32_t value)
{
    if (d->state.queue_select >= d->type->queues)
        return;
    struct virtqueue *q = &d->state.queue[d->state.queue_select];
    if (at == VIRTIO_PCI_COMMON_Q_MSIX)
        q->vector = checked_vector(d, value);
    if (q->enabled)
        return;
    if (at == VIRTIO_PCI_COMMON_Q_SIZE && value && value <= QUEUE_SIZE && !(value & (value - 1)))
        q->size = (uint16_t)value;
    else if (at == VIRTIO_PCI_COMMON_Q_ENABLE)
        q->enabled = value == 1 && d->state.status & VIRTIO_CONFIG_S_FEATURES_OK;
    else if (at == VIRTIO_PCI_COMMON_Q_DESCLO || at == VIRTIO_PCI_COMMON_Q_DESCHI)
        set_half(&q->descriptors, at == VIRTIO_PCI_COMMON_Q_DESCHI, value);
    else if (at == VIRTIO_PCI_COMMON_Q_AVAILLO || at == VIRTIO_PCI_COMMON_Q_AVAILHI)
        set_half(&q->available, at == VIRTIO_PCI_COMMON_Q_AVAILHI, value);
    else if (at == VIRTIO_PCI_COMMON_Q_USEDLO || at == VIRTIO_PCI_COMMON_Q_USEDHI)
        set_half(&q->used, at == VIRTIO_PCI_COMMON_Q_USEDHI, value);
}

static void set_common(struct virtio *d, unsigned at, uint32_t value)
{
    struct virtio_state *s = &d->state;

    if (at == VIRTIO_PCI_COMMON_DFSELECT)
        s->device_feature_select = value;
    else if (at == VIRTIO_PCI_COMMON_GFSELECT)
        s->driver_feature_select = value;
    else if (at == VIRTIO_PCI_COMMON_GF && s->driver_feature_select < 2 &&
             !(s->status & VIRTIO_CONFIG_S_FEATURES_OK))
        set_half(&s->driver_features, s->driver_feature_select, value);
    else if (at == VIRTIO_PCI_COMMON_MSIX)
        s->config_vector = checked_vector(d, value);
    else if (at == VIRTIO_PCI_COMMON_STATUS)
        set_status(d, (uint8_t)value);
    else if (at == VIRTIO_PCI_COMMON_Q_SELECT)
        s->queue_select = (uint16_t)value;
    else
        set_queue_field(d, at, value);
}

/* Reads size bytes at an offset of a structure; what is behind it reads as zeros. */
static void read_part(const void *from, unsigned length, unsigned at, uint8_t *data, unsigned size)
{
    memset(data, 0, size);
    if (at < length)
        memcpy(data, (const uint8_t *)from + at, size < length - at ? size : length - at);
}

static void bar_read(struct virtio *d, unsigned at, uint8_t *data, unsigned size)
{
    struct virtio_pci_common_cfg c = common(d);
    unsigned page = at / PAGE * PAGE;

    memset(data, 0, size);
    if (page == COMMON)
        read_part(&c, sizeof(c), at, data, size);
    else if (page == DEVICE)
        read_part(d->state.config, d->type->config_size, at - DEVICE, data, size);
    else if (page == VECTORS)
        read_part(d->state.vector, sizeof(d->state.vector), at - VECTORS, data, size);
    else if (page == PENDING)
        read_part(&d->state.pending, sizeof(d->state.pending), at - PENDING, data, size);
    if (at == ISR) {
        *data = d->state.isr;
        d->state.isr = 0;
    }
}

static void bar_write(struct virtio *d, unsigned at, const uint8_t *data, unsigned size)
{
    unsigned page = at / PAGE * PAGE;
    uint32_t value = 0;

    memcpy(&value, data, size < 4 ? size : 4);
    if (page == COMMON) {
        set_common(d, at, value);
        if (size == 8)
            bar_write(d, at + 4, data + 4, 4);
    } else if (page == NOTIFY) {
        notify(d, (at - NOTIFY) / NOTIFY_STEP);
    } else if (page == VECTORS) {
        if (at - VECTORS + size <= sizeof(d->state.vector))
            memcpy((uint8_t *)d->state.vector + (at - VECTORS), data, size);
        send_pending(d);
    } else if (page == DEVICE) {
        unsigned first = d->type->config_write, end = d->type->config_size;
        for (unsigned i = at - DEVICE, n = 0; first && n < size; i++, n++)
            if (i >= first && i < end)
                d->state.config[i] = data[n];
    }
}

static void bar_access(struct virtio *d, unsigned at, bool write, uint8_t *data, unsigned size)
{
    if (write)
        bar_write(d, at, data, size);
    else
        bar_read(d, at, data, size);
}

bool virtio_mmio(struct virtio *d, uint64_t address, bool write, uint8_t *data, unsigned size)
{
    uint32_t bar = pci_get(&d->state.pci, PCI_BASE_ADDRESS_0, 4);

    if (!(pci_get(&d->state.pci, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY) || address < bar ||
        address - bar > VIRTIO_BAR_SIZE - size)
        return false;
    bar_access(d, (unsigned)(address - bar), write, data, size);
    return true;
}

/* The last capability is a window: an access to its data goes to the BAR (4.1.4.9). */
void virtio_config_access(struct virtio *d, unsigned at, bool out, uint8_t *data, unsigned size)
{
    struct pci_function *pci = &d->state.pci;

    pci_access(pci, at, out, data, size);
    send_pending(d);
    if (at != d->window + sizeof(struct virtio_pci_cap))
        return;
    uint32_t bar = pci_get(pci, d->window + VIRTIO_PCI_CAP_BAR, 1);
    uint32_t offset = pci_get(pci, d->window + VIRTIO_PCI_CAP_OFFSET, 4);
    uint32_t length = pci_get(pci, d->window + VIRTIO_PCI_CAP_LENGTH, 4);
    if (!bar && length == size && offset <= VIRTIO_BAR_SIZE - size && !(offset & (size - 1)))
        bar_access(d, offset, out, data, size);
}

void virtio_save(const struct virtio *d, struct virtio_state *to)
{
    *to = d->state;
}

const char *virtio_load(struct virtio *d, const struct virtio_state *from)
{
    struct virtio_state s = *from;

    const char *wrong = pci_differs(&s.pci, &d->state.pci);
    if (wrong)
        return wrong;
    if (s.driver_features & ~d->features)
        return "driver_features";
    for (unsigned q = 0; q < VIRTIO_QUEUES; q++) {
        uint16_t size = s.queue[q].size;
        if (!size || size > QUEUE_SIZE || size & (size - 1))
            return "queue.size";
    }
    if (!d->type->config_write && memcmp(s.config, d->state.config, sizeof(s.config)))
        return "config";
    d->state = s;
    return NULL;
}
