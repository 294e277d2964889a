// A Vulkan layer that makes one call of a driver fail, for tests of what trainscope does then.
//
// It counts the calls of one device function and answers a chosen one with an error instead of passing it on:
//
//     FAULT_CALL=vkCreateBuffer FAULT_AT=3 FAULT_RESULT=-2
//
// lets the third call fail with VK_ERROR_OUT_OF_DEVICE_MEMORY. After VK_ERROR_DEVICE_LOST (-4) every later call that can
// report the loss reports it too. FAULT_COUNTS names a file to which the number of calls of every function is written when
// the program ends, so that a test knows how many there are.
//
// The few declarations that a layer needs are repeated here from vulkan_core.h and vk_layer.h, so that no header has to be
// installed. Functions whose arguments are all integers or pointers are passed on without looking at them.

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void (*Function)(void);
typedef Function (*GetProcAddress)(void *, const char *);
typedef int32_t (*CreateInstance)(const void *, const void *, void **);
typedef int32_t (*CreateDevice)(void *, const void *, const void *, void **);
typedef intptr_t (*AnyCall)(uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t, uintptr_t);

enum { INSTANCE_LINK = 47, DEVICE_LINK = 48, LINK_INFO = 0 };
enum { DEVICE_LOST = -4, INITIALIZATION_FAILED = -3 };

struct Structure {
    int32_t type;
    const struct Structure *next;
};

struct InstanceLink {
    struct InstanceLink *next;
    GetProcAddress get_instance_function;
    GetProcAddress get_physical_device_function;
};

struct DeviceLink {
    struct DeviceLink *next;
    GetProcAddress get_instance_function;
    GetProcAddress get_device_function;
};

// VkLayerInstanceCreateInfo and VkLayerDeviceCreateInfo begin alike.
struct LinkInfo {
    struct Structure header;
    int32_t function;
    void *link;
};

#define FUNCTIONS(F) \
    F(vkAllocateCommandBuffers) \
    F(vkAllocateDescriptorSets) \
    F(vkAllocateMemory) \
    F(vkBeginCommandBuffer) \
    F(vkBindBufferMemory) \
    F(vkBindImageMemory) \
    F(vkCreateBuffer) \
    F(vkCreateCommandPool) \
    F(vkCreateComputePipelines) \
    F(vkCreateDescriptorPool) \
    F(vkCreateDescriptorSetLayout) \
    F(vkCreateFence) \
    F(vkCreateFramebuffer) \
    F(vkCreateGraphicsPipelines) \
    F(vkCreateImage) \
    F(vkCreateImageView) \
    F(vkCreatePipelineCache) \
    F(vkCreatePipelineLayout) \
    F(vkCreateQueryPool) \
    F(vkCreateRenderPass) \
    F(vkCreateSampler) \
    F(vkCreateSemaphore) \
    F(vkCreateShaderModule) \
    F(vkEndCommandBuffer) \
    F(vkGetPipelineCacheData) \
    F(vkMapMemory) \
    F(vkQueueSubmit) \
    F(vkWaitForFences) \
    F(vkWaitSemaphores)

#define ENUMERATE(name) NUMBER_##name,
enum { FUNCTIONS(ENUMERATE) COUNT };

#define NAME(name) #name,
static const char *const NAMES[COUNT] = {FUNCTIONS(NAME)};

static GetProcAddress next_instance_function;
static GetProcAddress next_device_function;
static AnyCall next_calls[COUNT];
static int calls[COUNT];
static int is_lost;

static int reports_loss(int number) {
    return number == NUMBER_vkQueueSubmit || number == NUMBER_vkWaitForFences ||
           number == NUMBER_vkWaitSemaphores || number == NUMBER_vkMapMemory ||
           number == NUMBER_vkCreateComputePipelines;
}

static int setting(const char *name) {
    const char *text = getenv(name);
    return text ? atoi(text) : 0;
}

// Counts a call; what it is to be answered with, or 0 if it is passed on.
static int32_t fault(int number) {
    int call = __atomic_add_fetch(&calls[number], 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&is_lost, __ATOMIC_SEQ_CST) && reports_loss(number)) {
        return DEVICE_LOST;
    }
    const char *name = getenv("FAULT_CALL");
    if (!name || strcmp(name, NAMES[number]) != 0 || call != setting("FAULT_AT")) {
        return 0;
    }
    int32_t result = setting("FAULT_RESULT");
    if (result == DEVICE_LOST) {
        __atomic_store_n(&is_lost, 1, __ATOMIC_SEQ_CST);
    }
    return result;
}

#define WRAPPER(name) \
    static intptr_t fault_##name(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e, uintptr_t f) { \
        int32_t result = fault(NUMBER_##name); \
        return result ? result : next_calls[NUMBER_##name](a, b, c, d, e, f); \
    }
FUNCTIONS(WRAPPER)

#define WRAPPER_ADDRESS(name) (Function)fault_##name,
static const Function WRAPPERS[COUNT] = {FUNCTIONS(WRAPPER_ADDRESS)};

static struct LinkInfo *link_of(const void *info, int32_t type) {
    for (const struct Structure *s = ((const struct Structure *)info)->next; s; s = s->next) {
        if (s->type == type && ((const struct LinkInfo *)s)->function == LINK_INFO) {
            return (struct LinkInfo *)s;
        }
    }
    return NULL;
}

static int32_t create_instance(const void *info, const void *allocator, void **instance) {
    struct LinkInfo *chain = link_of(info, INSTANCE_LINK);
    if (!chain) {
        return INITIALIZATION_FAILED;
    }
    struct InstanceLink *link = chain->link;
    next_instance_function = link->get_instance_function;
    chain->link = link->next;
    CreateInstance next = (CreateInstance)next_instance_function(NULL, "vkCreateInstance");
    return next(info, allocator, instance);
}

static int32_t create_device(void *adapter, const void *info, const void *allocator, void **device) {
    struct LinkInfo *chain = link_of(info, DEVICE_LINK);
    if (!chain) {
        return INITIALIZATION_FAILED;
    }
    struct DeviceLink *link = chain->link;
    chain->link = link->next;
    CreateDevice next = (CreateDevice)link->get_instance_function(NULL, "vkCreateDevice");
    int32_t result = next(adapter, info, allocator, device);
    if (result == 0) {
        next_device_function = link->get_device_function;
        for (int i = 0; i < COUNT; i++) {
            next_calls[i] = (AnyCall)next_device_function(*device, NAMES[i]);
        }
    }
    return result;
}

static Function own_device_function(const char *name) {
    for (int i = 0; i < COUNT; i++) {
        if (next_calls[i] && strcmp(name, NAMES[i]) == 0) {
            return WRAPPERS[i];
        }
    }
    return NULL;
}

__attribute__((visibility("default"))) Function vkGetDeviceProcAddr(void *device, const char *name) {
    if (strcmp(name, "vkGetDeviceProcAddr") == 0) {
        return (Function)vkGetDeviceProcAddr;
    }
    Function own = own_device_function(name);
    return own ? own : next_device_function(device, name);
}

__attribute__((visibility("default"))) Function vkGetInstanceProcAddr(void *instance, const char *name) {
    if (strcmp(name, "vkGetInstanceProcAddr") == 0) {
        return (Function)vkGetInstanceProcAddr;
    }
    if (strcmp(name, "vkCreateInstance") == 0) {
        return (Function)create_instance;
    }
    if (strcmp(name, "vkCreateDevice") == 0) {
        return (Function)create_device;
    }
    if (strcmp(name, "vkGetDeviceProcAddr") == 0) {
        return (Function)vkGetDeviceProcAddr;
    }
    Function own = own_device_function(name);
    if (own) {
        return own;
    }
    return next_instance_function ? next_instance_function(instance, name) : NULL;
}

__attribute__((destructor)) static void write_counts(void) {
    const char *path = getenv("FAULT_COUNTS");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file) {
        return;
    }
    for (int i = 0; i < COUNT; i++) {
        fprintf(file, "%s %d\n", NAMES[i], calls[i]);
    }
    fclose(file);
}
