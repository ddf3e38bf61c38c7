// A Python module with one function, the SHA-256 of some bytes, by OpenSSL.
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <openssl/evp.h>

static PyObject *sha256(PyObject *, PyObject *args) {
  const char *data;
  Py_ssize_t size;
  if (!PyArg_ParseTuple(args, "y#", &data, &size)) return nullptr;
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  if (!EVP_Digest(data, static_cast<size_t>(size), digest, &length, EVP_sha256(), nullptr)) {
    PyErr_SetString(PyExc_RuntimeError, "OpenSSL failed");
    return nullptr;
  }
  return PyBytes_FromStringAndSize(reinterpret_cast<char *>(digest), length);
}

static PyMethodDef methods[] = {
    {"sha256", sha256, METH_VARARGS, "The SHA-256 of some bytes."},
    {nullptr, nullptr, 0, nullptr},
};

static PyModuleDef module = {PyModuleDef_HEAD_INIT, "_digest", nullptr, -1, methods, nullptr, nullptr, nullptr, nullptr};

PyMODINIT_FUNC PyInit__digest() { return PyModule_Create(&module); }
