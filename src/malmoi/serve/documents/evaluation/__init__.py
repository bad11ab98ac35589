"""How well documents are found: written questions, relevant passages, figures with intervals.

The questions are our own words about documents that other people wrote under licences that let their words be
quoted: the Python documentation in Korean (PSF-2.0 and CC0), the help of LibreOffice (MPL-2.0), the React
documentation in Korean (CC BY 4.0) and the PyTorch tutorials in Korean (BSD-3-Clause). A question names its
document and quotes the few words that answer it. Questions without a document have no answer there.
"""
